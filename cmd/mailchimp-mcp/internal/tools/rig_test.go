package tools_test

import (
	"encoding/json"
	"maps"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/marketing"
	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/tools"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// apiKey is Ada's at the sandbox.
const apiKey = "0123456789abcdef0123456789abcdef-us6"

// rig is an MCP client of the tools, which work on a made-up Mailchimp.
type rig struct {
	t       testing.TB
	sandbox *sandbox.Sandbox
	session *mcp.ClientSession
}

// newRig starts everything, for somebody who may change things unless c says otherwise.
func newRig(t testing.TB, c tools.Config, s sandbox.Config) *rig {
	t.Helper()
	if c.Now == nil {
		c.Now = func() time.Time { return time.Date(2026, 7, 1, 9, 10, 0, 0, time.UTC) }
	}
	s.Now = c.Now
	box, err := sandbox.New(s)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(box)
	t.Cleanup(server.Close)
	if c.Account, err = marketing.NewWithAPIKey(secret.New(apiKey), server.URL+"/mailchimp/us6/3.0"); err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, sandbox: box, session: dial(t, c)}
}

// writing is a rig with all tools.
func writing(t testing.TB) *rig {
	t.Helper()
	return newRig(t, tools.Config{AllowWrites: true}, sandbox.Config{})
}

// dial connects a client to a server that has the tools.
func dial(t testing.TB, c tools.Config) *mcp.ClientSession {
	t.Helper()
	server := mcp.NewServer(&mcp.Implementation{Name: "mailchimp", Version: "1"}, &mcp.ServerOptions{Instructions: tools.Instructions(c.AllowWrites)})
	tools.Register(server, c)
	ours, theirs := mcp.NewInMemoryTransports()
	serving, err := server.Connect(t.Context(), ours, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = serving.Close() })
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), theirs, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

// args are a call's.
type args map[string]any

// merged has the arguments of both.
func merged(a, b args) args {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// send calls a tool and returns what it says, as text.
func (r *rig) send(tool string, a args) (text string, isError bool) {
	r.t.Helper()
	result, err := r.session.CallTool(r.t.Context(), &mcp.CallToolParams{Name: tool, Arguments: a})
	if err != nil {
		r.t.Fatalf("%s: %v, want no error of the protocol", tool, err)
	}
	if len(result.Content) != 1 {
		r.t.Fatalf("%s: got %d contents, want one", tool, len(result.Content))
	}
	said, isText := result.Content[0].(*mcp.TextContent)
	if !isText {
		r.t.Fatalf("%s: got %T, want a text", tool, result.Content[0])
	}
	if !result.IsError {
		if _, isObject := result.StructuredContent.(map[string]any); !isObject {
			r.t.Errorf("%s: got the structured content %T, want an object", tool, result.StructuredContent)
		}
	}
	return said.Text, result.IsError
}

// call calls a tool that works, and returns its answer.
func (r *rig) call(tool string, a args) map[string]any {
	r.t.Helper()
	text, isError := r.send(tool, a)
	if isError {
		r.t.Fatalf("%s %v: %s", tool, a, text)
	}
	var answer map[string]any
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		r.t.Fatalf("%s: %v in %s", tool, err, text)
	}
	return answer
}

// fails calls a tool that does not work, and looks for words in what it says.
func (r *rig) fails(tool string, a args, words ...string) {
	r.t.Helper()
	text, isError := r.send(tool, a)
	if !isError {
		r.t.Errorf("%s %v: got %.500s, want an error with %q", tool, a, text, words)
		return
	}
	for _, word := range words {
		if !strings.Contains(text, word) {
			r.t.Errorf("%s %v: got the error %q, want %q in it", tool, a, text, word)
		}
	}
}

// encode is JSON.
func encode(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// at returns what is at a place of an answer, such as audiences.0.id.
func at(t testing.TB, answer any, place string) any {
	t.Helper()
	for step := range strings.SplitSeq(place, ".") {
		switch here := answer.(type) {
		case map[string]any:
			answer = here[step]
		case []any:
			var i int
			if err := json.Unmarshal([]byte(step), &i); err != nil || i >= len(here) {
				t.Fatalf("there is no %s (of %s) in %v", step, place, here)
			}
			answer = here[i]
		default:
			t.Fatalf("there is no %s (of %s) in %v", step, place, here)
		}
	}
	return answer
}

// text is at, for a text that must be there.
func text(t testing.TB, answer any, place string) string {
	t.Helper()
	s, _ := at(t, answer, place).(string)
	if s == "" {
		t.Fatalf("there is no text at %s of %v", place, answer)
	}
	return s
}

// audience is the ID of the larger audience.
func (r *rig) audience() string {
	r.t.Helper()
	return text(r.t, r.call("list_audiences", nil), "audiences.0.id")
}

// someMember is the address of a member of an audience.
func (r *rig) someMember(audience string) string {
	r.t.Helper()
	return text(r.t, r.call("list_members", args{"audience_id": audience, "status": "subscribed", "count": 1}), "members.0.email_address")
}

// campaign is the ID of a campaign with a status.
func (r *rig) campaign(status string) string {
	r.t.Helper()
	return text(r.t, r.call("list_campaigns", args{"status": status}), "campaigns.0.id")
}

// readyDraft makes a draft that could be sent.
func (r *rig) readyDraft(audience string) string {
	r.t.Helper()
	id := text(r.t, r.call("create_campaign_draft", args{"audience_id": audience, "subject_line": "x"}), "campaign_id")
	r.call("set_campaign_content", args{"campaign_id": id, "html": "<p>x</p>"})
	return id
}
