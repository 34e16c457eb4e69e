package access_test

import (
	"crypto/x509"
	"net/url"
	"testing"
	"time"

	"github.com/tokenvault/tokenvault/vault/access"
)

func mustURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestACertificateNamesOneCaller(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p, err := access.NewPolicy(access.Config{Now: func() time.Time { return now }, Rules: []access.Rule{
		{Name: "by id", Tenant: "t", SPIFFEID: "spiffe://example.org/mcp"},
		{Name: "by name", Tenant: "t", DNSName: "MCP.example.org"},
		{Name: "by another", Tenant: "t", DNSName: "other.example.org"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	uris := func(texts ...string) []*url.URL {
		var all []*url.URL
		for _, text := range texts {
			all = append(all, mustURL(t, text))
		}
		return all
	}
	for _, row := range []struct {
		name string
		cert x509.Certificate
		want string // empty: nobody
	}{
		{"a SPIFFE ID", x509.Certificate{URIs: uris("spiffe://example.org/mcp")}, "by id"},
		{"a SPIFFE ID beside a DNS name", x509.Certificate{URIs: uris("spiffe://example.org/mcp"), DNSNames: []string{"mcp.example.org"}}, "by id"},
		{"the trust domain in capitals", x509.Certificate{URIs: uris("spiffe://EXAMPLE.org/mcp")}, ""},
		{"another SPIFFE ID", x509.Certificate{URIs: uris("spiffe://example.org/mcp2")}, ""},
		{"one below it", x509.Certificate{URIs: uris("spiffe://example.org/mcp/x")}, ""},
		{"another trust domain", x509.Certificate{URIs: uris("spiffe://example.com/mcp")}, ""},
		{"two URIs", x509.Certificate{URIs: uris("spiffe://example.org/mcp", "spiffe://example.org/x")}, ""},
		{"a URI that is no SPIFFE ID does not make way for a DNS name", x509.Certificate{URIs: uris("https://example.org/mcp"), DNSNames: []string{"mcp.example.org"}}, ""},
		{"a SPIFFE ID with a query", x509.Certificate{URIs: uris("spiffe://example.org/mcp?x=y")}, ""},
		{"a DNS name", x509.Certificate{DNSNames: []string{"mcp.example.org"}}, "by name"},
		{"a DNS name in capitals", x509.Certificate{DNSNames: []string{"Mcp.Example.Org"}}, "by name"},
		{"a DNS name among others", x509.Certificate{DNSNames: []string{"x.example.org", "mcp.example.org"}}, "by name"},
		{"the DNS names of two callers", x509.Certificate{DNSNames: []string{"mcp.example.org", "other.example.org"}}, ""},
		{"a wildcard", x509.Certificate{DNSNames: []string{"*.example.org"}}, ""},
		{"a common name alone", x509.Certificate{}, ""},
		{"an authority's", x509.Certificate{URIs: uris("spiffe://example.org/mcp"), IsCA: true}, ""},
		{"one that has ended", x509.Certificate{URIs: uris("spiffe://example.org/mcp"), NotAfter: now.Add(-time.Second)}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.cert.Subject.CommonName = "mcp.example.org"
			if row.cert.NotAfter.IsZero() {
				row.cert.NotAfter = now.Add(time.Hour)
			}
			shown := access.Presented{Certificate: access.ReadCertificate(&row.cert)}
			got := ""
			if caller := p.Recall(shown); caller != nil {
				got = caller.Name()
			}
			if got != row.want {
				t.Errorf("caller = %q, want %q", got, row.want)
			}
		})
	}
}

// TestTheCertificateComesBeforeTheToken states the order in which what a call shows
// is looked at.
func TestTheCertificateComesBeforeTheToken(t *testing.T) {
	token := access.GenerateToken()
	p, err := newPolicy(access.Rule{Name: "by token", Tenant: "t", Tokens: access.HashTokens(token)}, access.Rule{Name: "by name", Tenant: "t", DNSName: "a.example"})
	if err != nil {
		t.Fatal(err)
	}
	known := access.ReadCertificate(&x509.Certificate{DNSNames: []string{"a.example"}, NotAfter: time.Now().Add(time.Hour)})
	foreign := access.ReadCertificate(&x509.Certificate{DNSNames: []string{"b.example"}, NotAfter: time.Now().Add(time.Hour)})
	for _, row := range []struct {
		name  string
		shown access.Presented
		want  string
	}{
		{"both", access.Presented{Certificate: known, Bearer: token}, "by name"},
		{"a known certificate and an unknown token", access.Presented{Certificate: known, Bearer: access.GenerateToken()}, "by name"},
		{"an unknown certificate and a known token", access.Presented{Certificate: foreign, Bearer: token}, "by token"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if caller, err := p.Authenticate(t.Context(), row.shown); err != nil || caller.Name() != row.want {
				t.Errorf("caller = %v, %v; want %s", caller, err, row.want)
			}
		})
	}
}
