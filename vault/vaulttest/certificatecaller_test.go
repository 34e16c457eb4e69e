package vaulttest_test

import (
	"crypto/tls"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// certified returns a stack with a caller that is known by its SPIFFE ID, one that is
// known by a DNS name, and one that is known by a token.
func certified(t *testing.T) (*vaulttest.Stack, secret.String) {
	t.Helper()
	token := access.GenerateToken()
	rule := func(r access.Rule) access.Rule {
		r.Tenant, r.RPCs, r.Providers, r.Subjects = "default", []string{"GetConnection"}, []string{"*"}, []string{"*"}
		return r
	}
	return vaulttest.New(t, vaulttest.Config{TLS: true, Audit: true, Rules: []access.Rule{
		rule(access.Rule{Name: "by id", SPIFFEID: "spiffe://example.org/mcp"}),
		rule(access.Rule{Name: "by name", DNSName: "mcp.example.org"}),
		rule(access.Rule{Name: "by token", Tokens: access.HashTokens(token)}),
	}}), token
}

func connectionOf(t *testing.T, s *vaulttest.Stack, token secret.String, cert *tls.Certificate) error {
	t.Helper()
	conn := s.DialTLS(token, cert)
	defer conn.Close()
	_, err := tokenvaultv1.NewVaultServiceClient(conn).GetConnection(t.Context(), &tokenvaultv1.GetConnectionRequest{Subject: "alice", Provider: "acme"})
	return err
}

func TestACallerIsKnownByItsCertificate(t *testing.T) {
	s, token := certified(t)
	cert := func(c vaulttest.ClientCert) *tls.Certificate {
		made := s.Authority.Client(t, c)
		return &made
	}
	for _, row := range []struct {
		name  string
		cert  *tls.Certificate
		token secret.String
		want  string // empty: nobody
	}{
		{"a SPIFFE ID", cert(vaulttest.ClientCert{SPIFFEID: "spiffe://example.org/mcp"}), secret.String{}, "by id"},
		{"a DNS name", cert(vaulttest.ClientCert{DNSNames: []string{"mcp.example.org"}}), secret.String{}, "by name"},
		{"a certificate and the token of another", cert(vaulttest.ClientCert{DNSNames: []string{"mcp.example.org"}}), token, "by name"},
		{"a foreign certificate and a token", cert(vaulttest.ClientCert{DNSNames: []string{"x.example.org"}}), token, "by token"},
		{"a common name", cert(vaulttest.ClientCert{CommonName: "mcp.example.org"}), secret.String{}, ""},
		{"another SPIFFE ID with the DNS name", cert(vaulttest.ClientCert{SPIFFEID: "spiffe://example.org/x", DNSNames: []string{"mcp.example.org"}}), secret.String{}, ""},
		{"nothing", nil, secret.String{}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := connectionOf(t, s, row.token, row.cert)
			if row.want == "" {
				wantError(t, err, codes.Unauthenticated, "CALLER_UNKNOWN")
			} else {
				wantError(t, err, codes.NotFound, "NOT_CONNECTED")
			}
			all := entries(t, s)
			if got := all[len(all)-1].Caller; got != row.want {
				t.Errorf("on record as %q, want %q", got, row.want)
			}
		})
	}
}

// TestACertificateThatEndsInTheMiddleOfAConnectionIsNoneAnyMore moves the vault's
// clock, not the certificate's.
func TestACertificateThatEndsInTheMiddleOfAConnectionIsNoneAnyMore(t *testing.T) {
	s, _ := certified(t)
	cert := s.Authority.Client(t, vaulttest.ClientCert{SPIFFEID: "spiffe://example.org/mcp"})
	conn := s.DialTLS(secret.String{}, &cert)
	defer conn.Close()
	c := tokenvaultv1.NewVaultServiceClient(conn)
	call := func() error {
		_, err := c.GetConnection(t.Context(), &tokenvaultv1.GetConnectionRequest{Subject: "alice", Provider: "acme"})
		return err
	}
	wantError(t, call(), codes.NotFound, "NOT_CONNECTED")
	s.Clock.Advance(2 * time.Hour)
	wantError(t, call(), codes.Unauthenticated, "CALLER_UNKNOWN")
}
