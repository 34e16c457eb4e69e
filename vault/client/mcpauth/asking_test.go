package mcpauth_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenvault/tokenvault/vault/client/mcpauth"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
	"github.com/tokenvault/tokenvault/vault/vaulttest/mcptest"
)

func TestWhoDeclinesIsNotAskedAgainInThatCall(t *testing.T) {
	for action, want := range map[string]string{
		"decline": "Mailchimp was not connected: the person has declined. Ask them before you call this tool again",
		"cancel":  "Mailchimp was not connected: the person has put the question away. Ask them before you call this tool again",
	} {
		t.Run(action, func(t *testing.T) {
			r := newRig(t, vaulttest.Config{}, mcpauth.Config{})
			result, err := call(t, newerClient().dial(t, r.inMemory(), answers(action)), "hello")
			wantError(t, result, err, want)
			if n := r.calls.get("ping"); n != 0 {
				t.Errorf("the tool's own code has run %d times, want none", n)
			}
		})
	}
}

// TestACallAsksAgainWhenItHasWaitedForLong: the client's own loop goes on, with the link
// that the person has in front of them.
func TestACallAsksAgainWhenItHasWaitedForLong(t *testing.T) {
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{Wait: time.Millisecond})
	var links []string
	session := newerClient().dial(t, r.inMemory(), func(_ context.Context, link string) string {
		if links = append(links, link); len(links) == 4 {
			r.open(link, vaulttest.Ada)
		}
		return "accept"
	})
	result, err := call(t, session, "hello")
	wantPong(t, result, err, "hello", vaulttest.Ada)
	if len(links) < 4 || len(slices.Compact(links)) != 1 || r.rpcs.get("Connect") != 1 {
		t.Errorf("the person was given %q with %d flows, want the same link four times", links, r.rpcs.get("Connect"))
	}
}

// TestAnOlderClientIsToldWhenThePersonIsDone follows what clients of revision 2025-11-25
// see: each call has an id, all have the same link, and each is told.
func TestAnOlderClientIsToldWhenThePersonIsDone(t *testing.T) {
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{Wait: time.Millisecond})
	app := &mcptest.App{}
	session := olderClient().dial(t, r.inMemory(), answers("cancel"), manual, app.Install)
	result, err := call(t, session, "hello")
	first := wantElicitation(t, result, err)
	result, err = call(t, session, "hello")
	if again := wantElicitation(t, result, err); again.ElicitationID != first.ElicitationID || again.URL != first.URL {
		t.Errorf("the same call has asked %s with %s and then %s with %s, want the same", first.ElicitationID, first.URL, again.ElicitationID, again.URL)
	}
	result, err = call(t, session, "other")
	other := wantElicitation(t, result, err)
	if other.ElicitationID == first.ElicitationID || other.URL != first.URL {
		t.Errorf("another call has asked %s with %s, want another id than %s and the same link", other.ElicitationID, other.URL, first.ElicitationID)
	}
	r.open(first.URL, vaulttest.Ada)
	await(t, "the end of the first", app.Completed(first.ElicitationID))
	await(t, "the end of the other", app.Completed(other.ElicitationID))
	result, err = call(t, session, "hello")
	wantPong(t, result, err, "hello", vaulttest.Ada)
}

// TestAnOlderClientMayCallAgainInsteadOfWaiting: then that call waits.
func TestAnOlderClientMayCallAgainInsteadOfWaiting(t *testing.T) {
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{})
	session := olderClient().dial(t, r.inMemory(), answers("cancel"), manual)
	result, err := call(t, session, "hello")
	asked := wantElicitation(t, result, err)
	r.approve(vaulttest.Ada)(t.Context(), asked.URL)
	result, err = call(t, session, "hello")
	wantPong(t, result, err, "hello", vaulttest.Ada)
}

func TestTheTextForOtherClientsSaysAllThatIsNeeded(t *testing.T) {
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{})
	result, err := call(t, plainClient().dial(t, r.inMemory(), nil), "hello")
	for _, want := range []string{
		"No Mailchimp account is connected yet, so nothing was done", "open this link in their browser", r.GatewayURL,
		" UTC, and for that person alone", "call this tool again",
	} {
		wantError(t, result, err, want)
	}
}

// TestWhatPeopleReadHoldsNoPersonalData: not the link either.
func TestWhatPeopleReadHoldsNoPersonalData(t *testing.T) {
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{Subject: mcpauth.Fixed("ada.lovelace")})
	result, err := call(t, newerClient().dial(t, r.inMemory(), answers("cancel"), manual), "hello")
	if err != nil {
		t.Fatal(err)
	}
	asked, ok := result.InputRequests[mcpauth.InputKey].(*mcp.ElicitParams)
	if !ok || asked.Mode != "url" || asked.ElicitationID != "" || !strings.Contains(asked.Message, "Mailchimp") {
		t.Fatalf("the call asks %v, want a URL", result.InputRequests)
	}
	for what, text := range map[string]string{"message": asked.Message, "link": asked.URL, "state": result.RequestState} {
		if strings.Contains(text, "lovelace") {
			t.Errorf("the %s names the person: %s", what, text)
		}
	}
}

// TestAWaitShowsProgress so that clients give the call more time.
func TestAWaitShowsProgress(t *testing.T) {
	for _, over := range []string{"stdio", "HTTP"} {
		t.Run(over, func(t *testing.T) {
			r := newRig(t, vaulttest.Config{}, mcpauth.Config{})
			r.auth.SetBeat(time.Millisecond)
			transport := r.inMemory()
			if over == "HTTP" {
				transport = as("alice", r.serveHTTP())
			}
			heard := make(chan *mcp.ProgressNotificationParams, 1000)
			var link string
			session := newerClient().dial(t, transport, func(_ context.Context, url string) string {
				link = url
				return "accept"
			}, func(o *mcp.ClientOptions) {
				o.ProgressNotificationHandler = func(_ context.Context, req *mcp.ProgressNotificationClientRequest) {
					select {
					case heard <- req.Params:
					default:
					}
				}
			})
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				params := &mcp.CallToolParams{Name: "ping", Arguments: map[string]any{"text": "hello"}}
				params.SetProgressToken("mine")
				result, err := session.CallTool(t.Context(), params)
				wantPong(t, result, err, "hello", vaulttest.Ada)
			}()
			first, second := await(t, "progress", heard), await(t, "more progress", heard)
			if first.ProgressToken != "mine" || first.Message != "Waiting for the person to connect Mailchimp" || second.Progress <= first.Progress {
				t.Errorf("progress is %+v and then %+v, want it to grow, with words", first, second)
			}
			r.open(link, vaulttest.Ada)
			await(t, "the end of the call", ended)
		})
	}
}

// TestNobodyIsToldOfSomebodyElsesConnection: each session hears of its own questions.
func TestNobodyIsToldOfSomebodyElsesConnection(t *testing.T) {
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{Subject: mcpauth.FromToken})
	url := r.serveHTTP()
	type question struct{ id, link string }
	asked, told := map[string]question{}, map[string]chan string{}
	for _, name := range []string{"alice", "bob"} {
		told[name] = make(chan string, 100)
		session := kinds()[1].dial(t, as(name, url), answers("cancel"), manual, func(o *mcp.ClientOptions) {
			o.ElicitationCompleteHandler = func(_ context.Context, req *mcp.ElicitationCompleteNotificationRequest) {
				told[name] <- req.Params.ElicitationID
			}
		})
		result, err := call(t, session, "hello")
		e := wantElicitation(t, result, err)
		asked[name] = question{e.ElicitationID, e.URL}
	}
	for _, name := range []string{"alice", "bob"} { // the second hears nothing of the first
		r.open(asked[name].link, vaulttest.Ada)
		if id := await(t, "the end of the question", told[name]); id != asked[name].id {
			t.Errorf("%s is told of %q, want %q", name, id, asked[name].id)
		}
	}
}
