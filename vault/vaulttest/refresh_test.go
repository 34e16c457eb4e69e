package vaulttest_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault"
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

func TestAThousandCallersShareOneRefresh(t *testing.T) {
	for _, row := range []struct {
		name      string
		impatient bool
	}{{"patient", false}, {"half of them leave", true}} {
		t.Run(row.name, func(t *testing.T) {
			s := newExpiring(t)
			s.Clock.Advance(time.Hour)
			before := s.Sandbox.Requests(sandbox.Token)
			const request = 300 * time.Millisecond
			s.Sandbox.Fault(sandbox.Token, sandbox.Fault{Delay: request})
			var wg sync.WaitGroup
			for range 1000 {
				wg.Go(func() {
					ctx, leaves := t.Context(), row.impatient && rand.N(2) == 0
					if leaves {
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(ctx, rand.N(request))
						defer cancel()
					}
					resp, err := s.Client.GetCredentials(ctx, &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "acme"})
					if err != nil && !leaves {
						t.Errorf("GetCredentials: %v", err)
					}
					if err == nil && (!s.Sandbox.Valid(resp.GetOauth2().GetAccessToken()) || resp.GetGeneration() != 2) {
						t.Errorf("a caller got a token of generation %d, or one that does not work", resp.GetGeneration())
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

func TestNobodyWaitsLongerThanTheRefreshThatTheyShare(t *testing.T) {
	for _, row := range []struct {
		name      string
		impatient bool
	}{{"patient", false}, {"half of them leave", true}} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const request = time.Second
				e := vaulttest.NewEngine(t, vaulttest.EngineConfig{Quiet: true})
				e.MustConnect("alice")
				time.Sleep(time.Hour)
				before := e.Sandbox.Requests(sandbox.Token)
				e.Sandbox.Fault(sandbox.Token, sandbox.Fault{Delay: request})
				began := time.Now() // in the bubble: nothing but waiting takes time
				var wg sync.WaitGroup
				for i := range 1000 {
					comes, leaves := rand.N(request), 2*request
					if i == 0 {
						comes = 0 // and begins the refresh
					}
					if row.impatient && i%2 == 0 {
						leaves = rand.N(request)
					}
					wg.Go(func() { wantShared(t, e, comes, leaves) })
				}
				wg.Wait()
				if took := time.Since(began); took != request {
					t.Errorf("the last had its answer after %v, want the %v of the request", took, request)
				}
				if n := e.Sandbox.Requests(sandbox.Token) - before; n != 1 {
					t.Errorf("%d token requests, want 1", n)
				}
			})
		})
	}
}

// wantShared asks for credentials once comes has passed, for as long as leaves, and
// wants the token of the refresh under way, or to have left.
func wantShared(t *testing.T, e *vaulttest.Engine, comes, leaves time.Duration) {
	time.Sleep(comes)
	ctx, cancel := context.WithTimeout(t.Context(), leaves)
	defer cancel()
	creds, err := e.Vault.GetCredentials(ctx, vault.CredentialsRequest{Key: e.Key("alice")})
	switch {
	case ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded): // has left
	case err != nil:
		t.Errorf("GetCredentials: %v", err)
	case creds.Generation != 2 || !e.Sandbox.Valid(creds.AccessToken.Reveal()):
		t.Errorf("a caller got a token of generation %d, or one that does not work", creds.Generation)
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
			t.Parallel() // a refused client is waited for
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

// TestAProviderThatFailsIsNotAskedAgainByGRPC: clients whose gRPC tries again by itself
// would ask within a second, and RetryInfo says later.
func TestAProviderThatFailsIsNotAskedAgainByGRPC(t *testing.T) {
	s := newExpiring(t)
	s.Clock.Advance(time.Hour)
	s.Sandbox.Fault(sandbox.Token, sandbox.Fault{Status: 503})
	var trailer metadata.MD
	_, err := s.Client.GetCredentials(t.Context(), &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "acme"}, grpc.Trailer(&trailer))
	wantError(t, err, codes.Unavailable, "PROVIDER_UNAVAILABLE")
	if got := trailer.Get("grpc-retry-pushback-ms"); len(got) != 1 || got[0] != "-1" {
		t.Errorf("grpc-retry-pushback-ms = %v, want -1", got)
	}
}

func TestAWrongClientIsTheOperatorsAndConnectionsStayAsTheyAre(t *testing.T) {
	t.Parallel() // it is waited for
	s := newExpiring(t)
	s.Clock.Advance(time.Hour)
	s.Sandbox.Fault(sandbox.Token, sandbox.Fault{Status: 401, Body: `{"error":"invalid_client"}`})
	for range 20 {
		_, err := s.Client.GetCredentials(t.Context(), &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "acme"})
		wantError(t, err, codes.FailedPrecondition, "PROVIDER_MISCONFIGURED")
	}
	if n := s.Sandbox.Requests(sandbox.Token); n > 10 {
		t.Errorf("%d token requests for 20 calls, want the vault to stop asking", n)
	}
	s.Sandbox.ClearFaults()
	s.Clock.Advance(time.Hour)
	credentials(t, s, "alice", "acme")
}

func TestMinTTLAsksForMoreLife(t *testing.T) {
	s := newExpiring(t)
	get := func(minTTL time.Duration) *tokenvaultv1.GetCredentialsResponse {
		t.Helper()
		resp, err := s.Client.GetCredentials(t.Context(), &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "acme", MinTtl: durationpb.New(minTTL)})
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	s.Clock.Advance(20 * time.Minute)
	if got := get(39 * time.Minute).GetGeneration(); got != 1 {
		t.Errorf("a token with 40 minutes left was refreshed for one who wants 39: generation %d", got)
	}
	if got := get(41 * time.Minute).GetGeneration(); got != 2 {
		t.Errorf("a token with 40 minutes left was not refreshed for one who wants 41: generation %d", got)
	}
	for range 5 {
		if got := get(10 * time.Hour).GetGeneration(); got != 2 {
			t.Errorf("a provider of hourly tokens is asked again and again for one of ten hours: generation %d", got)
		}
	}
	for name, d := range map[string]*durationpb.Duration{"negative": durationpb.New(-1), "over a day": durationpb.New(25 * time.Hour), "invalid": {Seconds: 1, Nanos: -1}} {
		_, err := s.Client.GetCredentials(t.Context(), &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "acme", MinTtl: d})
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		wantError(t, err, codes.InvalidArgument, "INVALID_MIN_TTL")
	}
}

func TestRequiredScopesMustHaveBeenGranted(t *testing.T) {
	s := newExpiring(t)
	get := func(scopes ...string) error {
		_, err := s.Client.GetCredentials(t.Context(), &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "acme", RequiredScopes: scopes})
		return err
	}
	if err := get("offline_access"); err != nil {
		t.Errorf("a scope that was granted: %v", err)
	}
	err := get("contacts.read", "offline_access", "contacts.write")
	wantError(t, err, codes.FailedPrecondition, "SCOPES_MISSING")
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetMetadata()["missing_scopes"] != "contacts.read contacts.write" {
			t.Errorf("metadata = %v, want the two scopes that are missing", info.GetMetadata())
		}
	}
	wantError(t, get("with space"), codes.InvalidArgument, "INVALID_REQUIRED_SCOPES")
}

func TestRefreshConnectionRefreshesNow(t *testing.T) {
	s := newExpiring(t)
	before := credentials(t, s, "alice", "acme")
	resp, err := s.Client.RefreshConnection(t.Context(), &tokenvaultv1.RefreshConnectionRequest{Subject: "alice", Provider: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.GetConnection(); got.GetGeneration() != before.GetGeneration()+1 || got.GetLastRefreshTime() == nil {
		t.Errorf("generation = %d, last refresh %v; want a new one", got.GetGeneration(), got.GetLastRefreshTime())
	}
	s.Sandbox.Fault(sandbox.Token, sandbox.Fault{Status: 503})
	_, err = s.Client.RefreshConnection(t.Context(), &tokenvaultv1.RefreshConnectionRequest{Subject: "alice", Provider: "acme"})
	wantError(t, err, codes.Unavailable, "PROVIDER_UNAVAILABLE")
	credentials(t, s, "alice", "acme") // those at hand still work
}

func TestRefreshConnectionLooksAgainWhereThereIsNothingToRefresh(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	s.Connect("alice", "mailchimp", vaulttest.Ada)
	refresh := func() (*tokenvaultv1.RefreshConnectionResponse, error) {
		return s.Client.RefreshConnection(t.Context(), &tokenvaultv1.RefreshConnectionRequest{Subject: "alice", Provider: "mailchimp"})
	}
	if _, err := refresh(); err != nil {
		t.Fatal(err)
	}
	if n := s.Sandbox.Requests(sandbox.Metadata); n != 2 {
		t.Errorf("%d look-ups of the account, want one at connecting and one more", n)
	}
	s.Sandbox.Fault(sandbox.Metadata, sandbox.Fault{Status: 401})
	_, err := refresh()
	wantError(t, err, codes.FailedPrecondition, "TOKEN_REFUSED")
	resp, err := s.Client.GetConnection(t.Context(), &tokenvaultv1.GetConnectionRequest{Subject: "alice", Provider: "mailchimp"})
	if err != nil {
		t.Fatal(err)
	}
	if c := resp.GetConnection(); c.GetStatus() != tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_CONNECTED || c.GetProblem() == "" {
		t.Errorf("status = %v, problem = %q; want connected, with the refusal noted: one proves nothing", c.GetStatus(), c.GetProblem())
	}
	s.Sandbox.ClearFaults()
	if resp, err := refresh(); err != nil || resp.GetConnection().GetProblem() != "" {
		t.Errorf("when the token is taken again: %v, %v", resp.GetConnection().GetProblem(), err)
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
