package mcpauth_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenvault/tokenvault/vault/client/mcpauth"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// wantRefused fails unless a call was refused for its state.
func wantRefused(t testing.TB, result *mcp.CallToolResult, err error) {
	t.Helper()
	wire, ok := errors.AsType[*jsonrpc.Error](err)
	if !ok || wire.Code != jsonrpc.CodeInvalidParams || !strings.Contains(wire.Message, "call the tool anew") {
		t.Errorf("the call says %v, %v; want that its parameters are invalid", result, err)
	}
}

// TestAStateIsGoodForItsOwnCallAlone.
func TestAStateIsGoodForItsOwnCallAlone(t *testing.T) {
	key := mcpauth.RandomKey()
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{Subject: mcpauth.FromToken, Wait: time.Millisecond, StateKey: key})
	url := r.serveHTTP()
	alice, bob := newerClient().dial(t, as("alice", url), nil, manual), newerClient().dial(t, as("bob", url), nil, manual)
	other := rigOn(t, r.Stack, mcpauth.Config{Subject: mcpauth.Fixed("alice")})
	elsewhere := newerClient().dial(t, other.inMemory(), nil, manual)
	_, state := ask(t, alice, "hello")
	_, foreign := ask(t, elsewhere, "hello")
	_, bobs := ask(t, bob, "hello")
	_, provider := ask(t, kinds()[0].dial(t, rigOn(t, r.Stack, mcpauth.Config{StateKey: key, Provider: "acme"}).inMemory(), nil, manual), "hello")
	_, label := ask(t, kinds()[0].dial(t, rigOn(t, r.Stack, mcpauth.Config{StateKey: key, Label: "second"}).inMemory(), nil, manual), "hello")
	last := state[len(state)-1:]
	changed := map[bool]string{true: "B", false: "A"}[last == "A"]
	for _, row := range []struct {
		name, state, text, tool string
		session                 *mcp.ClientSession
	}{
		{"another person's", state, "hello", "ping", bob},
		{"that of another person", bobs, "hello", "ping", alice},
		{"for other arguments", state, "bye", "ping", alice},
		{"for another tool", state, "hello", "pong", alice},
		{"for another provider", provider, "hello", "ping", alice},
		{"for another connection", label, "hello", "ping", alice},
		{"sealed with another key", foreign, "hello", "ping", alice},
		{"changed", state[:len(state)-1] + changed, "hello", "ping", alice},
		{"cut short", state[:len(state)/2], "hello", "ping", alice},
		{"empty but for its prefix", "tokenvault.connect.1.", "hello", "ping", alice},
		{"too long", state + strings.Repeat("A", 16<<10), "hello", "ping", alice},
		{"made up", "tokenvault.connect.1.!!", "hello", "ping", alice},
	} {
		t.Run(row.name, func(t *testing.T) {
			result, err := row.session.CallTool(t.Context(), &mcp.CallToolParams{
				Name: row.tool, Arguments: map[string]any{"more": 7, "text": row.text},
				RequestState: row.state, InputResponses: mcp.InputResponseMap{mcpauth.InputKey: &mcp.ElicitResult{Action: "accept"}},
			})
			wantRefused(t, result, err)
			if row.state != "" && strings.Contains(r.log.String(), row.state[len(row.state)/2:]) && len(row.state) > 100 {
				t.Error("the log holds the state")
			}
		})
	}
	if log := r.log.String(); !strings.Contains(log, "made for another subject") || !strings.Contains(log, "made for other arguments") {
		t.Errorf("the log does not say why:\n%s", log)
	}
	result, err := reply(t, alice, "hello", state, "accept")
	if _, again := asked(t, result, err); again == state {
		t.Error("the next state is the same as the last, want one of its own")
	}
}

// TestAnOldStateAsksAnew: the person has taken long.
func TestAnOldStateAsksAnew(t *testing.T) {
	for name, age := range map[string]time.Duration{"its link has ended": 11 * time.Minute, "it has ended": 2 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, vaulttest.Config{}, mcpauth.Config{})
			session := newerClient().dial(t, r.inMemory(), nil, manual)
			first, state := ask(t, session, "hello")
			r.Clock.Advance(age)
			result, err := reply(t, session, "hello", state, "accept")
			second, state := asked(t, result, err)
			if second == first {
				t.Fatal("the person is given the link that has ended")
			}
			r.approve(vaulttest.Ada)(t.Context(), second)
			result, err = reply(t, session, "hello", state, "accept")
			wantPong(t, result, err, "hello", vaulttest.Ada)
		})
	}
}

// TestAStateWithoutAnAnswerAsksAgain also where only the answer comes back.
func TestAStateWithoutAnAnswerAsksAgain(t *testing.T) {
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{})
	session := newerClient().dial(t, r.inMemory(), nil, manual)
	first, state := ask(t, session, "hello")
	for name, params := range map[string]*mcp.CallToolParams{
		"the state alone":  {RequestState: state},
		"the answer alone": {InputResponses: mcp.InputResponseMap{mcpauth.InputKey: &mcp.ElicitResult{Action: "accept"}}},
	} {
		params.Name, params.Arguments = "ping", map[string]any{"text": "hello", "more": 7}
		result, err := session.CallTool(t.Context(), params)
		if link, _ := asked(t, result, err); link != first {
			t.Errorf("%s: the link is another one, want the same", name)
		}
	}
}

// TestReplicasShareStates: the next round of a call gets to another one.
func TestReplicasShareStates(t *testing.T) {
	key := mcpauth.RandomKey()
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{StateKey: key, Wait: time.Millisecond})
	session := newerClient().dial(t, r.inMemory(), nil, manual)
	first, state := ask(t, session, "hello")

	other := rigOn(t, r.Stack, mcpauth.Config{StateKey: key, Wait: time.Millisecond})
	there := newerClient().dial(t, other.inMemory(), nil, manual)
	result, err := there.CallTool(t.Context(), &mcp.CallToolParams{Name: "ping", Arguments: map[string]any{"text": "hello", "more": 7}, RequestState: state})
	if link, _ := asked(t, result, err); link != first {
		t.Error("without an answer the other replica gives another link, want the same")
	}
	result, err = reply(t, there, "hello", state, "accept")
	second, state := asked(t, result, err)
	if second != first || other.rpcs.get("Connect") != 0 {
		t.Errorf("the other replica has made %d flows, want it to take the link that the person has", other.rpcs.get("Connect"))
	}
	r.open(first, vaulttest.Ada)
	other.settled()
	result, err = reply(t, there, "hello", state, "accept")
	wantPong(t, result, err, "hello", vaulttest.Ada)
}

// TestToolsMayAskForInputOfTheirOwn: it passes through untouched.
func TestToolsMayAskForInputOfTheirOwn(t *testing.T) {
	for _, revision := range []string{"", "2025-11-25"} {
		t.Run("revision "+revision, func(t *testing.T) {
			r := newRig(t, vaulttest.Config{}, mcpauth.Config{})
			mcp.AddTool(r.server, &mcp.Tool{Name: "name"}, mcpauth.Tool(r.auth, askForName))
			session := kind{revision: revision, asks: true}.dial(t, r.inMemory(), r.approve(vaulttest.Ada), func(o *mcp.ClientOptions) {
				o.Capabilities.Elicitation.Form = &mcp.FormElicitationCapabilities{}
				open := o.ElicitationHandler
				o.ElicitationHandler = func(ctx context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
					if req.Params.Mode == "form" {
						return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"name": "Ada"}}, nil
					}
					return open(ctx, req)
				}
			})
			result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "name"})
			if err != nil || textOf(result) != "Ada, mine" {
				t.Errorf("the call says %v, %v; want the name and the tool's state", result, err)
			}
		})
	}
}

// askForName is a tool that asks.
func askForName(_ context.Context, req *mcp.CallToolRequest, _ *mcpauth.Connection, _ in) (*mcp.CallToolResult, any, error) {
	answer, ok := req.Params.InputResponses["name"].(*mcp.ElicitResult)
	if !ok {
		return &mcp.CallToolResult{
			InputRequests: mcp.InputRequestMap{"name": &mcp.ElicitParams{Mode: "form", Message: "What is your name?"}}, RequestState: "mine",
		}, nil, nil
	}
	name, _ := answer.Content["name"].(string)
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: name + ", " + req.Params.RequestState}}}, nil, nil
}
