package client_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"google.golang.org/grpc"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/client"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

// rpcs counts the calls that a client makes, by the RPC's name, and may hold them up.
type rpcs struct {
	mu    sync.Mutex
	count map[string]int
	// hold is called before a call, and again before its answer is taken. Nil: nothing is.
	hold func(rpc string, answered bool)
}

func (r *rpcs) intercept(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	rpc := method[strings.LastIndex(method, "/")+1:]
	r.mu.Lock()
	r.count[rpc]++
	hold := r.hold
	r.mu.Unlock()
	if hold == nil {
		return invoke(ctx, method, req, reply, cc, opts...)
	}
	hold(rpc, false)
	err := invoke(ctx, method, req, reply, cc, opts...)
	hold(rpc, true)
	return err
}

func (r *rpcs) of(rpc string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count[rpc]
}

func (r *rpcs) setHold(hold func(rpc string, answered bool)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hold = hold
}

// rig is a stack with a client.
type rig struct {
	*vaulttest.Stack
	c    *client.Client
	rpcs *rpcs

	t testing.TB
}

// newRig starts a stack, and a client that goes by its clock and may do everything,
// unless the options say otherwise.
func newRig(t testing.TB, c vaulttest.Config, options ...client.Option) *rig {
	t.Helper()
	if c.TokenLifetime == 0 {
		c.TokenLifetime = time.Hour
	}
	s := vaulttest.New(t, c)
	return rigOn(t, s, options...)
}

// rigOn is newRig on a stack that is there.
func rigOn(t testing.TB, s *vaulttest.Stack, options ...client.Option) *rig {
	t.Helper()
	counted := &rpcs{count: map[string]int{}}
	usual := []client.Option{client.WithClock(s.Clock.Now), client.WithDialOptions(grpc.WithChainUnaryInterceptor(counted.intercept))}
	if len(options) == 0 {
		usual = append(usual, client.WithToken(s.Token.Reveal()))
	}
	return &rig{Stack: s, c: newClient(t, s.GRPCAddress, append(usual, options...)...), rpcs: counted, t: t}
}

func newClient(t testing.TB, addr string, options ...client.Option) *client.Client {
	t.Helper()
	c, err := client.New(t.Context(), addr, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// connect takes a subject through a whole flow.
func (r *rig) connect(subject, provider string) {
	r.t.Helper()
	if code, page := r.Connect(subject, provider, vaulttest.Ada); code != http.StatusOK {
		r.t.Fatalf("the browser ended at %d:\n%s", code, page)
	}
}

func (r *rig) disconnect(subject, provider string) {
	r.t.Helper()
	if _, err := r.Client.Disconnect(r.t.Context(), &tokenvaultv1.DisconnectRequest{Subject: subject, Provider: provider}); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) refresh(subject string) error {
	_, err := r.Client.RefreshConnection(r.t.Context(), &tokenvaultv1.RefreshConnectionRequest{Subject: subject, Provider: "acme"})
	return err
}

// watched waits for the client's watch.
func (r *rig) watched() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	if err := r.c.AwaitWatch(ctx); err != nil {
		r.t.Fatalf("the watch does not come up: %v", err)
	}
}

// await waits for what must come.
func (r *rig) await(what string, ch <-chan struct{}) {
	r.t.Helper()
	await(r.t, what, ch)
}

func await(t testing.TB, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(patience):
		t.Fatalf("%s does not come", what)
	}
}

func mustToken(t testing.TB, source oauth2.TokenSource) *oauth2.Token {
	t.Helper()
	token, err := source.Token()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// wantReason fails unless an error is the client's, with that reason.
func wantReason(t testing.TB, err error, reason string) {
	t.Helper()
	if e, ok := errors.AsType[*client.Error](err); !ok || e.Reason != reason {
		t.Errorf("error = %v, want a *client.Error with %s", err, reason)
	}
}

// rule is a caller's that may call some RPCs for everybody.
func rule(r access.Rule, rpcs ...string) access.Rule {
	r.Name, r.Tenant, r.RPCs, r.Providers, r.Subjects = "program", "default", rpcs, []string{"*"}, []string{"*"}
	return r
}
