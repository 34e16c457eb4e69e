package vaulttest_test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

func newExpiring(t *testing.T) *vaulttest.Stack {
	t.Helper()
	s := vaulttest.New(t, vaulttest.Config{TokenLifetime: time.Hour})
	if code, page := s.Connect("alice", "acme", vaulttest.Ada); code != http.StatusOK {
		t.Fatalf("the browser ended at %d:\n%s", code, page)
	}
	return s
}

func TestATokenAboutToEndIsRefreshedInLine(t *testing.T) {
	s := newExpiring(t)
	before := credentials(t, s, "alice", "acme")
	s.Clock.Advance(time.Hour - 61*time.Second)
	if again := credentials(t, s, "alice", "acme"); again.GetGeneration() != before.GetGeneration() {
		t.Error("a token with more than a minute left was refreshed")
	}
	s.Clock.Advance(5 * time.Second)
	after := credentials(t, s, "alice", "acme")
	if after.GetGeneration() != before.GetGeneration()+1 || !s.Sandbox.Valid(after.GetOauth2().GetAccessToken()) {
		t.Errorf("generation = %d, want %d, with a token that works", after.GetGeneration(), before.GetGeneration()+1)
	}
	if ttl := after.GetExpireTime().AsTime().Sub(s.Clock.Now()); ttl < 59*time.Minute {
		t.Errorf("the new token has %v left, want an hour", ttl)
	}
}

func TestManyCallersShareOneRefresh(t *testing.T) {
	for _, row := range []struct {
		name      string
		impatient bool
	}{{"patient", false}, {"some leave", true}} {
		t.Run(row.name, func(t *testing.T) {
			s := newExpiring(t)
			s.Clock.Advance(time.Hour)
			before := s.Sandbox.Requests(sandbox.Token)
			s.Sandbox.Fault(sandbox.Token, sandbox.Fault{Delay: 50 * time.Millisecond})
			var wg sync.WaitGroup
			for range 200 {
				wg.Go(func() {
					ctx, leaves := t.Context(), row.impatient && rand.N(2) == 0
					if leaves {
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(ctx, rand.N(40*time.Millisecond))
						defer cancel()
					}
					resp, err := s.Client.GetCredentials(ctx, &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "acme"})
					if err != nil && !leaves {
						t.Errorf("GetCredentials: %v", err)
					}
					if err == nil && !s.Sandbox.Valid(resp.GetOauth2().GetAccessToken()) {
						t.Error("a caller got a token that does not work")
					}
				})
			}
			wg.Wait()
			credentials(t, s, "alice", "acme")
			if n := s.Sandbox.Requests(sandbox.Token) - before; n != 1 {
				t.Errorf("%d token requests, want 1", n)
			}
		})
	}
}

func TestOnlyADeadGrantMarksAConnection(t *testing.T) {
	for _, row := range []struct {
		name   string
		fault  sandbox.Fault
		code   codes.Code
		reason string
		after  tokenvaultv1.ConnectionStatus
	}{
		{"server error", sandbox.Fault{Status: 503}, codes.Unavailable, "PROVIDER_UNAVAILABLE", tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_CONNECTED},
		{"HTML page with 200", sandbox.Fault{Body: "<html>Maintenance</html>", ContentType: "text/html"}, codes.Unavailable, "PROVIDER_UNAVAILABLE", tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_CONNECTED},
		{"half an answer", sandbox.Fault{Body: `{"access_tok`}, codes.Unavailable, "PROVIDER_UNAVAILABLE", tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_CONNECTED},
		{"connection closed", sandbox.Fault{Drop: true}, codes.Unavailable, "PROVIDER_UNAVAILABLE", tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_CONNECTED},
		{"invalid_client", sandbox.Fault{Status: 401, Body: `{"error":"invalid_client"}`}, codes.FailedPrecondition, "PROVIDER_MISCONFIGURED", tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_CONNECTED},
		{"invalid_grant", sandbox.Fault{Status: 400, Body: `{"error":"invalid_grant"}`}, codes.FailedPrecondition, "REAUTHORIZATION_REQUIRED", tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_REAUTHORIZATION_REQUIRED},
		{"invalid_grant with 200", sandbox.Fault{Body: `{"error":"invalid_grant"}`}, codes.FailedPrecondition, "REAUTHORIZATION_REQUIRED", tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_REAUTHORIZATION_REQUIRED},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newExpiring(t)
			s.Clock.Advance(time.Hour)
			s.Sandbox.Fault(sandbox.Token, row.fault)
			_, err := s.Client.GetCredentials(t.Context(), &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "acme"})
			wantError(t, err, row.code, row.reason)
			resp, err := s.Client.GetConnection(t.Context(), &tokenvaultv1.GetConnectionRequest{Subject: "alice", Provider: "acme"})
			if err != nil {
				t.Fatal(err)
			}
			if got := resp.GetConnection().GetStatus(); got != row.after {
				t.Errorf("status = %v, want %v", got, row.after)
			}
			s.Sandbox.ClearFaults()
			if row.after == tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_CONNECTED {
				credentials(t, s, "alice", "acme")
			} else if code, _ := s.Connect("alice", "acme", vaulttest.Ada); code != http.StatusOK {
				t.Errorf("connecting again ended at %d", code)
			}
		})
	}
}

func TestATokenThatStillWorksOutlivesAnOutage(t *testing.T) {
	s := newExpiring(t)
	before := credentials(t, s, "alice", "acme")
	s.Clock.Advance(time.Hour - 30*time.Second)
	s.Sandbox.Fault(sandbox.Token, sandbox.Fault{Status: 502})
	if got := credentials(t, s, "alice", "acme"); got.GetGeneration() != before.GetGeneration() {
		t.Error("another token than the one at hand")
	}
}

func TestDisconnectWinsOverARefreshUnderWay(t *testing.T) {
	s := newExpiring(t)
	s.Clock.Advance(time.Hour)
	s.Sandbox.Fault(sandbox.Token, sandbox.Fault{Delay: 100 * time.Millisecond})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = s.Client.GetCredentials(t.Context(), &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "acme"})
	})
	if _, err := s.Client.Disconnect(t.Context(), &tokenvaultv1.DisconnectRequest{Subject: "alice", Provider: "acme"}); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	_, err := s.Client.GetConnection(t.Context(), &tokenvaultv1.GetConnectionRequest{Subject: "alice", Provider: "acme"})
	wantError(t, err, codes.NotFound, "NOT_CONNECTED")
}
