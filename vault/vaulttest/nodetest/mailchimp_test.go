package nodetest

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// mailchimpHost is the end of the names that Mailchimp's API has.
const mailchimpHost = ".api.mailchimp.com"

// serveMailchimp serves the sandbox's API where Mailchimp's is: over TLS, with the data
// center in the name. It returns the environment for programs that are to find it.
func serveMailchimp(t *testing.T, s *vaulttest.Stack) (env []string) {
	t.Helper()
	target, err := url.Parse(s.SandboxURL)
	if err != nil {
		t.Fatal(err)
	}
	authority := vaulttest.NewAuthority(t)
	web := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		dc, ok := strings.CutSuffix(r.In.Host, mailchimpHost)
		if !ok {
			t.Errorf("a request came for %s, want one of Mailchimp's API", r.In.Host)
		}
		r.SetURL(&url.URL{Scheme: target.Scheme, Host: target.Host, Path: "/mailchimp/" + dc})
	}})
	web.TLS = &tls.Config{Certificates: []tls.Certificate{authority.Server(t, vaulttest.ServerCert{DNSNames: []string{"*" + mailchimpHost}, Elsewhere: true})}}
	web.StartTLS()
	t.Cleanup(web.Close)
	return []string{"NODE_EXTRA_CA_CERTS=" + authority.File, "MAILCHIMP_PORT=" + portOf(t, web.URL)}
}

func portOf(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

func TestMailchimpsOwnClientWorksWithWhatTheVaultGives(t *testing.T) {
	t.Parallel()
	s := connectedStack(t)
	p := script(t, "mailchimp.mjs", append(at(s), serveMailchimp(t, s)...)...)
	p.Preload = "reroute.mjs"
	program := Start(t, p)
	type answers struct {
		Ping        map[string]string
		Names       []string
		Status      int
		Title, Type string
	}
	refused := answers{Status: http.StatusUnauthorized, Title: "API Key Invalid", Type: "application/problem+json"}
	for _, row := range []struct {
		name string
		want answers
	}{
		{"ping", answers{Ping: map[string]string{"health_status": "Everything's Chimpy!"}}},
		{"lists", answers{Names: []string{"Analytical Engines Ltd news", "Friends of Analytical Engines Ltd"}}},
		{"members", answers{Names: []string{"Ada Allen", "Alan Babbage"}}},
		{"the tags of somebody who was added", answers{Names: []string{"Pioneers"}}},
		{"a search", answers{Names: []string{"kay.mcnulty@example.org"}}},
		{"campaigns", answers{Names: []string{"Seventy years of bugs"}}},
		{"a report", answers{Names: []string{"Seventy years of bugs"}}},
		{"a wrong token", refused},
		{"another data center", refused},
	} {
		var got answers
		program.Read(&got)
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.name, diff)
		}
	}
	program.End()
}
