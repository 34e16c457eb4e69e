package client_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/client"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

func TestWhoIsNotConnectedGetsALink(t *testing.T) {
	r := newRig(t, vaulttest.Config{})
	_, err := r.c.TokenSource(t.Context(), "alice", "acme", client.WithLabel("work")).Token()
	missing, ok := errors.AsType[*client.ConnectRequired](err)
	if !ok {
		t.Fatalf("error = %v, want a *client.ConnectRequired", err)
	}
	wantReason(t, err, "NOT_CONNECTED")
	wantText(t, err.Error(), "alice at acme: There is no such connection. Call Connect and have the person open the link. (NOT_CONNECTED)")
	if status.Code(err) != codes.NotFound || r.rpcs.of("Connect") != 0 {
		t.Errorf("code = %v with %d Connect, want the gRPC status and none", status.Code(err), r.rpcs.of("Connect"))
	}
	link, err := missing.URL(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := missing.URL(t.Context()); again != link || err != nil || r.rpcs.of("Connect") != 1 {
		t.Errorf("the second link is another one (%v), or there were %d Connect; want the same of one", err, r.rpcs.of("Connect"))
	}
	page, err := sandbox.Person{Client: r.NewBrowser()}.Approve(t.Context(), link, vaulttest.Ada)
	if err != nil || page.StatusCode != http.StatusOK || page.Body.Close() != nil {
		t.Fatalf("the link does not work: %v", err)
	}
	if _, err := r.c.Credentials(t.Context(), "alice", "acme", client.WithLabel("work")); err != nil {
		t.Errorf("after the link was used: %v", err)
	}
}

// forEachWatcher runs a test with a client that learns of changes by the watch, and with
// one that may not watch, and asks.
func forEachWatcher(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	for _, row := range []struct {
		name    string
		watches bool
		rpcs    []string
	}{
		{"with a watch", true, []string{"*"}},
		{"without", false, []string{"GetCredentials"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			token := access.GenerateToken()
			s := vaulttest.New(t, vaulttest.Config{Rules: []access.Rule{rule(access.Rule{Tokens: access.HashTokens(token)}, row.rpcs...)}})
			r := rigOn(t, s, client.WithToken(token.Reveal()))
			if row.watches {
				r.watched()
			}
			test(t, r)
			if _, _, waiting := r.c.Kept(); waiting != 0 {
				t.Errorf("%d names are still waited for", waiting)
			}
		})
	}
}

// wantTold fails unless a wait ends well, by news: who has missed them looks again after
// 30 s.
func wantTold(t *testing.T, waiting <-chan error) {
	t.Helper()
	select {
	case err := <-waiting:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience / 3):
		t.Error("the connection is there, and nobody is told")
	}
}

func TestAConnectionIsAwaited(t *testing.T) {
	forEachWatcher(t, func(t *testing.T, r *rig) {
		waiting, asked := make(chan error, 1), make(chan struct{}, 100)
		r.rpcs.setHold(func(string, bool) { asked <- struct{}{} })
		go func() { waiting <- r.c.WaitConnected(t.Context(), "alice", "acme") }()
		r.await("the first question", asked)
		r.connect("alice", "acme")
		wantTold(t, waiting)
	})
}

// TestAConnectionInPlaceOfARefusedOneIsAwaited: the vault takes for good what the provider
// refuses.
func TestAConnectionInPlaceOfARefusedOneIsAwaited(t *testing.T) {
	forEachWatcher(t, func(t *testing.T, r *rig) {
		r.connect("alice", "acme")
		refused, err := r.c.Credentials(t.Context(), "alice", "acme")
		if err != nil {
			t.Fatal(err)
		}
		if err := r.c.WaitReplaced(t.Context(), "alice", "acme", refused.Generation+1); err != nil {
			t.Errorf("in place of others: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.c.WaitReplaced(ctx, "alice", "acme", refused.Generation); !errors.Is(err, context.Canceled) {
			t.Errorf("while they are the same: error = %v, want to wait until the context ends", err)
		}
		waiting := make(chan error, 1)
		go func() { waiting <- r.c.WaitReplaced(t.Context(), "alice", "acme", refused.Generation) }()
		r.connect("alice", "acme")
		wantTold(t, waiting)
		fresh, err := r.c.Credentials(t.Context(), "alice", "acme")
		if err != nil {
			t.Fatal(err)
		}
		if fresh.Generation == refused.Generation {
			t.Errorf("then there are credentials of generation %d, want others", fresh.Generation)
		}
		r.disconnect("alice", "acme")
		wantReason(t, r.c.WaitReplaced(t.Context(), "alice", "acme", fresh.Generation), "NOT_CONNECTED")
	})
}

func TestWaitingEnds(t *testing.T) {
	r := newRig(t, vaulttest.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	r.rpcs.setHold(func(string, bool) { cancel() })
	if err := r.c.WaitConnected(ctx, "alice", "acme"); !errors.Is(err, context.Canceled) {
		t.Errorf("with its context: error = %v", err)
	}
	wantReason(t, r.c.WaitConnected(t.Context(), "alice", "nobody"), "PROVIDER_UNKNOWN")
	if _, _, waiting := r.c.Kept(); waiting != 0 {
		t.Errorf("%d names are still waited for", waiting)
	}
}

func TestAFlowIsConfirmedAndThePortalIsReached(t *testing.T) {
	const home = "http://127.0.0.1:1/done"
	s := vaulttest.New(t, vaulttest.Config{Binding: vault.BindingConfirm, ReturnURLs: []string{home}, Portal: []string{}})
	r := rigOn(t, s, client.WithToken(s.Token.Reveal()), client.WithReturnURL(home))
	link, err := r.c.Connect(t.Context(), "alice", "acme", client.ConnectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(link.ExpireTime); left < 9*time.Minute || left > 11*time.Minute || link.Session == "" {
		t.Errorf("link = %+v, want one of 10 minutes", link)
	}
	confirmation := comeBack(t, r, link.URL, home).Query().Get("confirmation")
	_, err = r.c.Confirm(t.Context(), "x"+confirmation, "alice")
	if _, ok := errors.AsType[*client.Error](err); !ok {
		t.Errorf("another confirmation: error = %v, want a *client.Error", err)
	}
	connection, err := r.c.Confirm(t.Context(), confirmation, "alice")
	if err != nil || connection.GetStatus() != tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_CONNECTED {
		t.Errorf("Confirm() = %v, %v", connection, err)
	}
	portal, err := r.c.PortalLink(t.Context(), "alice", home)
	if err != nil || !strings.HasPrefix(portal.Reveal(), r.GatewayURL) {
		t.Errorf("PortalLink() = %v, %v", portal, err)
	}
}

// comeBack has somebody consent, and returns where the browser comes back to.
func comeBack(t *testing.T, r *rig, link, home string) *url.URL {
	t.Helper()
	return comeBackIn(t, r.NewBrowser(), link, home, vaulttest.Ada)
}

// comeBackIn is comeBack in a browser that may be used before and after.
func comeBackIn(t *testing.T, browser *http.Client, link, home string, account int) *url.URL {
	t.Helper()
	stopping := *browser
	stopping.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(req.URL.String(), home) && req.URL.Query().Has("status") {
			return http.ErrUseLastResponse
		}
		return nil
	}
	page, err := sandbox.Person{Client: &stopping}.Approve(t.Context(), link, account)
	if err != nil {
		t.Fatal(err)
	}
	defer page.Body.Close()
	back, err := page.Location()
	if err != nil {
		t.Fatal(err)
	}
	return back
}
