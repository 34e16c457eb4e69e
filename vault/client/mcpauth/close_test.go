package mcpauth_test

import (
	"bytes"
	"context"
	"runtime/pprof"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenvault/tokenvault/vault/client/mcpauth"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// waiting begins a call, and returns when it waits for the person. The channel gets its
// end.
func (r *rig) waiting(transport mcp.Transport) (*mcp.ClientSession, <-chan *mcp.CallToolResult) {
	r.t.Helper()
	heard := make(chan struct{}, 1000)
	r.auth.SetBeat(1000) // a microsecond: progress shows that it waits
	session := kinds()[0].dial(r.t, transport, answers("accept"), func(o *mcp.ClientOptions) {
		o.ProgressNotificationHandler = func(context.Context, *mcp.ProgressNotificationClientRequest) {
			select {
			case heard <- struct{}{}:
			default:
			}
		}
	})
	ended := make(chan *mcp.CallToolResult, 1)
	go func() {
		params := &mcp.CallToolParams{Name: "ping", Arguments: map[string]any{"text": "hello"}}
		params.SetProgressToken("mine")
		result, _ := session.CallTool(r.t.Context(), params)
		ended <- result
	}()
	await(r.t, "the wait", heard)
	return session, ended
}

// ours returns the goroutines that run code of the package.
func ours() string {
	var all bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&all, 2)
	var found []string
	for stack := range strings.SplitSeq(all.String(), "\n\n") {
		if strings.Contains(stack, "client/mcpauth.(*") || strings.Contains(stack, "client/mcpauth.Tool") {
			found = append(found, stack)
		}
	}
	return strings.Join(found, "\n\n")
}

// TestCloseEndsAllThatWaits and leaves no goroutine.
func TestCloseEndsAllThatWaits(t *testing.T) {
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{})
	_, ended := r.waiting(r.inMemory())
	older := kinds()[1].dial(t, r.inMemory(), answers("cancel"), manual)
	result, err := call(t, older, "hello")
	wantElicitation(t, result, err)
	if ours() == "" {
		t.Fatal("nothing waits: the test does not see it")
	}
	if err := r.auth.Close(); err != nil {
		t.Error(err)
	}
	wantError(t, await(t, "the end of the call", ended), nil, "this server is about to stop")
	if left := ours(); left != "" {
		t.Errorf("after Close there are\n%s", left)
	}
	result, err = call(t, older, "other")
	wantError(t, result, err, "this server is about to stop")
}

// TestAWaitEndsWithItsClient: nobody would get the answer.
func TestAWaitEndsWithItsClient(t *testing.T) {
	for _, over := range []string{"stdio", "HTTP"} {
		t.Run(over, func(t *testing.T) {
			r := newRig(t, vaulttest.Config{}, mcpauth.Config{})
			transport := r.inMemory()
			if over == "HTTP" {
				transport = as("alice", r.serveHTTP())
			}
			session, _ := r.waiting(transport)
			<-r.ended // the first round, which has asked
			go func() { _ = session.Close() }()
			await(t, "the end of the call at the server", r.ended)
			if n := r.calls.get("ping"); n != 0 {
				t.Errorf("the tool's own code has run %d times, want none", n)
			}
		})
	}
}

// TestNobodyIsHurtByASessionThatHasEnded before the person was done.
func TestNobodyIsHurtByASessionThatHasEnded(t *testing.T) {
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{})
	gone := kinds()[1].dial(t, r.inMemory(), answers("cancel"), manual)
	result, err := call(t, gone, "hello")
	link := wantElicitation(t, result, err).URL
	there := kinds()[1].dial(t, r.inMemory(), r.approve(vaulttest.Ada))
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	result, err = call(t, there, "hello")
	wantPong(t, result, err, "hello", vaulttest.Ada)
	if n := r.rpcs.get("Connect"); n != 1 || link == "" {
		t.Errorf("%d flows, want 1", n)
	}
}
