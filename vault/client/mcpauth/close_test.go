package mcpauth_test

import (
	"bytes"
	"context"
	"net"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenvault/tokenvault/vault/client/mcpauth"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// waiting begins a call, and returns when it waits for the person. The channel gets its
// end.
func (r *rig) waiting(ctx context.Context, transport mcp.Transport) <-chan *mcp.CallToolResult {
	r.t.Helper()
	heard := make(chan struct{}, 1000)
	r.auth.SetBeat(time.Microsecond) // progress shows that it waits
	session := newerClient().dial(r.t, transport, answers("accept"), func(o *mcp.ClientOptions) {
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
		result, _ := session.CallTool(ctx, params)
		ended <- result
	}()
	await(r.t, "the wait", heard)
	return ended
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
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{Wait: time.Hour})
	ended := r.waiting(t.Context(), r.inMemory())
	older := olderClient().dial(t, r.inMemory(), answers("cancel"), manual)
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
	for _, row := range []struct {
		name string
		dial func(r *rig) (transport mcp.Transport, leave func())
	}{
		{"that cancels over stdio", func(r *rig) (mcp.Transport, func()) { return r.inMemory(), nil }},
		{"that cancels over HTTP", func(r *rig) (mcp.Transport, func()) { return as("alice", r.serveHTTP()), nil }},
		{"that is gone from stdio", (*rig).pipes},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t, vaulttest.Config{}, mcpauth.Config{Wait: time.Hour})
			transport, leave := row.dial(r)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r.waiting(ctx, transport)
			<-r.ended // the first round, which has asked
			if leave == nil {
				leave = cancel
			}
			leave()
			await(t, "the end of the call at the server", r.ended)
			if n := r.calls.get("ping"); n != 0 {
				t.Errorf("the tool's own code has run %d times, want none", n)
			}
		})
	}
}

// pipes are a transport like that of stdio whose client can be gone at once.
func (r *rig) pipes() (transport mcp.Transport, leave func()) {
	ours, theirs := net.Pipe()
	session, err := r.server.Connect(r.t.Context(), &mcp.IOTransport{Reader: ours, Writer: ours}, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = session.Close() })
	return &mcp.IOTransport{Reader: theirs, Writer: theirs}, func() { _ = theirs.Close() }
}

// TestNobodyIsHurtByASessionThatHasEnded before the person was done.
func TestNobodyIsHurtByASessionThatHasEnded(t *testing.T) {
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{})
	gone := olderClient().dial(t, r.inMemory(), answers("cancel"), manual)
	result, err := call(t, gone, "hello")
	link := wantElicitation(t, result, err).URL
	there := olderClient().dial(t, r.inMemory(), r.approve(vaulttest.Ada))
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	result, err = call(t, there, "hello")
	wantPong(t, result, err, "hello", vaulttest.Ada)
	if n := r.rpcs.get("Connect"); n != 1 || link == "" {
		t.Errorf("%d flows, want 1", n)
	}
}
