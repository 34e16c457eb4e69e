package vaulttest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

func TestACallerWithAJWTIsLetIn(t *testing.T) {
	issuer := vaulttest.NewIssuer(t, nil)
	s := vaulttest.New(t, vaulttest.Config{
		Issuers: []access.Issuer{{URL: issuer.URL}},
		Rules: []access.Rule{{
			Name: "mcp", Tenant: "default", JWT: &access.JWT{Issuer: issuer.URL, Audience: "tokenvault", Subject: "mcp"},
			RPCs: []string{"GetConnection"}, Providers: []string{"*"}, Subjects: []string{"*"},
		}},
	})
	ask := func(token secret.String) error {
		conn := s.Dial(token)
		defer conn.Close()
		_, err := tokenvaultv1.NewVaultServiceClient(conn).GetConnection(t.Context(), &tokenvaultv1.GetConnectionRequest{Subject: "alice", Provider: "mailchimp"})
		return err
	}
	issuer.Answer(http.StatusServiceUnavailable)
	wantError(t, ask(issuer.Token(map[string]any{"aud": "tokenvault", "sub": "mcp"})), codes.Unavailable, "ISSUER_UNAVAILABLE")
	issuer.Answer(0)
	s.Clock.Advance(11e9)
	good := issuer.Token(map[string]any{"aud": "tokenvault", "sub": "mcp"})
	for range 2 { // the second time from memory
		wantError(t, ask(good), codes.NotFound, "NOT_CONNECTED")
	}
	wantError(t, ask(issuer.Token(map[string]any{"aud": "tokenvault", "sub": "other"})), codes.Unauthenticated, "CALLER_UNKNOWN")
}

// TestAnIssuerThatHangsKeepsOnlyItsOwnWaiting makes two calls on one connection: the
// first waits for the keys of an issuer that does not answer, and the second must
// not.
func TestAnIssuerThatHangsKeepsOnlyItsOwnWaiting(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-answer
	}))
	t.Cleanup(hanging.Close)
	t.Cleanup(func() { close(answer) })
	issuer := vaulttest.NewIssuer(t, nil)
	s := vaulttest.New(t, vaulttest.Config{
		Issuers: []access.Issuer{{URL: hanging.URL}},
		Rules:   []access.Rule{{Name: "mcp", Tenant: "default", JWT: &access.JWT{Issuer: hanging.URL, Audience: "tokenvault", Subject: "mcp"}}},
	})
	conn := s.Dial(secret.String{})
	defer conn.Close()
	c := tokenvaultv1.NewVaultServiceClient(conn)
	as := func(token secret.String) error {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token.Reveal())
		_, err := c.GetConnection(ctx, &tokenvaultv1.GetConnectionRequest{Subject: "alice", Provider: "mailchimp"})
		return err
	}
	waiting := make(chan error, 1)
	go func() {
		waiting <- as(issuer.Token(map[string]any{"iss": hanging.URL, "aud": "tokenvault", "sub": "mcp"}))
	}()
	<-asked
	wantError(t, as(s.Token), codes.NotFound, "NOT_CONNECTED")
	select {
	case err := <-waiting:
		t.Errorf("the first call has ended: %v", err)
	default:
	}
	answer <- struct{}{}
	wantError(t, <-waiting, codes.Unavailable, "ISSUER_UNAVAILABLE")
}
