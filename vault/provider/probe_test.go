package provider_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/secret"
)

const redirectURI = "https://v.example/oauth/acme/callback"

// probeSandbox probes the sandbox's standard provider, which knows the client
// "id" with the secret "canary" in the body.
func probeSandbox(t *testing.T, change func(*provider.Config)) map[provider.Check]provider.Finding {
	t.Helper()
	sb, err := sandbox.New(sandbox.Config{Clients: []sandbox.Client{
		{ID: "id", Secret: "canary", RedirectURIs: []string{redirectURI}, Auth: sandbox.AuthPost},
		{ID: "public", RedirectURIs: []string{redirectURI}, Auth: sandbox.AuthNone},
	}})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(sb)
	t.Cleanup(web.Close)
	return probeAt(t, web.URL, change)
}

// probeAt probes a provider at an address. Endpoints that begin with / are there.
func probeAt(t *testing.T, base string, change func(*provider.Config)) map[provider.Check]provider.Finding {
	t.Helper()
	c := provider.Config{
		Name: "acme", ClientID: "id", ClientSecret: secret.New("canary"), RedirectURL: redirectURI,
		Definition: provider.Definition{
			AuthorizeURL: "/oauth/authorize", TokenURL: "/oauth/token", RevokeURL: "/oauth/revoke",
			ClientAuth: provider.ClientAuthPost, AllowPrivateNetwork: true,
		},
	}
	change(&c)
	d := &c.Definition
	for _, field := range []*string{&d.Issuer, &d.AuthorizeURL, &d.TokenURL, &d.RevokeURL, &d.DeviceURL} {
		if strings.HasPrefix(*field, "/") {
			*field = base + *field
		}
	}
	p, err := provider.New(c)
	if err != nil {
		t.Fatal(err)
	}
	findings := map[provider.Check]provider.Finding{}
	for _, f := range p.Probe(t.Context()) {
		if strings.Contains(f.Text+f.Address, "canary") || strings.Contains(f.Text, "%!") {
			t.Errorf("%s: %s", f.Check, f.Text)
		}
		findings[f.Check] = f
	}
	return findings
}

// verdicts writes findings as check=verdict, sorted.
func verdicts(findings map[provider.Check]provider.Finding) string {
	var all []string
	for check, f := range findings {
		all = append(all, fmt.Sprintf("%s=%s", check, f.Verdict))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func discovered(c *provider.Config) {
	c.Definition = provider.Definition{Issuer: "/oauth", AllowPrivateNetwork: true}
}

func TestAProbeSaysWhatIsWrong(t *testing.T) {
	const fine = "authorize_url=ok client=ok redirect_uri=ok revoke_url=ok token_url=ok"
	for _, row := range []struct {
		name   string
		change func(*provider.Config)
		want   string
		about  provider.Check
		says   string
	}{
		{"all is well", func(*provider.Config) {}, fine, provider.CheckClient, "accepted with its secret"},
		{"all is well, by the issuer", discovered, "authorize_url=ok client=ok device_url=ok issuer=ok redirect_uri=ok revoke_url=ok token_url=ok", provider.CheckIssuer, "names the endpoints"},
		{"a public client", func(c *provider.Config) {
			c.ClientID, c.ClientSecret, c.Definition.ClientAuth = "public", secret.String{}, provider.ClientAuthNone
		}, fine, provider.CheckClient, "is accepted: "},
		{"a wrong secret", func(c *provider.Config) { c.ClientSecret = secret.New("wrong") },
			"authorize_url=ok client=problem redirect_uri=ok revoke_url=unknown token_url=ok", provider.CheckClient, "compare client_id and client_secret"},
		{"another way to authenticate", func(c *provider.Config) { c.Definition.ClientAuth = provider.ClientAuthBasic },
			"authorize_url=ok client=problem redirect_uri=ok revoke_url=unknown token_url=ok", provider.CheckClient, "write client_auth: post"},
		{"an unknown client", func(c *provider.Config) { c.ClientID = "nobody" },
			"authorize_url=ok client=problem redirect_uri=problem revoke_url=unknown token_url=ok", provider.CheckRedirect, "does not know the client"},
		{"a redirect URI that is not registered", func(c *provider.Config) { c.RedirectURL += "/" },
			"authorize_url=ok client=ok redirect_uri=problem revoke_url=ok token_url=ok", provider.CheckRedirect, "register it there exactly"},
		{"a refused request", func(c *provider.Config) { c.Definition.PKCE = provider.PKCENone },
			"authorize_url=ok client=ok redirect_uri=problem revoke_url=ok token_url=ok", provider.CheckRedirect, "refuses the authorization request (status 400)"},
		{"no such pages", func(c *provider.Config) {
			c.Definition.AuthorizeURL, c.Definition.TokenURL, c.Definition.RevokeURL, c.Definition.DeviceURL = "/a", "/t", "", "/d"
		}, "authorize_url=problem device_url=problem token_url=problem", provider.CheckToken, "status 404"},
		{"nothing listens", func(c *provider.Config) { c.Definition.TokenURL = "http://127.0.0.1:1/token" },
			"authorize_url=ok redirect_uri=ok revoke_url=ok token_url=problem", provider.CheckToken, "nothing listens there"},
		{"a private address", func(c *provider.Config) {
			c.Definition.AllowPrivateNetwork, c.Definition.AuthorizeURL, c.Definition.RevokeURL, c.Definition.TokenURL = false, "https://127.0.0.1:1/a", "", "https://127.0.0.1:1/t"
		}, "authorize_url=problem token_url=problem", provider.CheckToken, "allow_private_network: true"},
		{"an endpoint without TLS", func(*provider.Config) {}, fine, provider.CheckRevoke, "without TLS"},
		{"an issuer without metadata", func(c *provider.Config) { discovered(c); c.Definition.Issuer = "/nowhere" },
			"issuer=problem", provider.CheckIssuer, "correct issuer, or write authorize_url and token_url"},
		{"an issuer that is nearly right", func(c *provider.Config) { discovered(c); c.Definition.Issuer = "/oauth/" },
			"issuer=problem", provider.CheckIssuer, "/oauth"},
		{"an issuer that is not needed", func(c *provider.Config) { c.Definition.Issuer = "/nowhere" }, "authorize_url=ok client=ok issuer=ok redirect_uri=ok revoke_url=ok token_url=ok", provider.CheckIssuer, "none is needed"},
		{"an issuer with another endpoint", func(c *provider.Config) { c.Definition.Issuer, c.Definition.RevokeURL = "/oauth", "/static/" },
			"authorize_url=ok client=ok issuer=unknown redirect_uri=ok revoke_url=problem token_url=ok", provider.CheckIssuer, "another revoke_url"},
		{"API keys alone", func(c *provider.Config) {
			*c = provider.Config{Name: "acme", Definition: provider.Definition{APIKey: &provider.APIKey{}}}
		}, "api_key=unknown", provider.CheckAPIKey, "API keys alone"},
		{"variables", func(c *provider.Config) {
			c.Definition.Variables = map[string]provider.Variable{"shop": {Pattern: "^[a-z]+$"}}
			c.Definition.TokenURL = "https://{shop}.shops.example/token"
		}, "variables=problem", provider.CheckVariables, "give them values"},
	} {
		t.Run(row.name, func(t *testing.T) {
			findings := probeSandbox(t, row.change)
			if got := verdicts(findings); got != row.want {
				t.Errorf("got  %s\nwant %s", got, row.want)
			}
			if got := findings[row.about].Text; !strings.Contains(got, row.says) {
				t.Errorf("%s: %s; want it to say %q", row.about, got, row.says)
			}
		})
	}
}

// TestAProbeDoesNotClaimWhatItCannotKnow has providers that tell little.
func TestAProbeDoesNotClaimWhatItCannotKnow(t *testing.T) {
	for _, row := range []struct {
		name      string
		authorize http.HandlerFunc
		token     http.HandlerFunc
		want      string
		about     provider.Check
		says      string
	}{
		{"a page for everyone", answer(200, "<html>"), answer(400, `{"error":"invalid_grant"}`),
			"authorize_url=ok client=unknown redirect_uri=unknown token_url=ok", provider.CheckClient, "whatever the secret"},
		{"a page for browsers only", answer(403, "<html>"), answer(400, `{"error":"invalid_request"}`),
			"authorize_url=ok client=unknown redirect_uri=unknown token_url=ok", provider.CheckRedirect, "to browsers only"},
		{"an error page behind a redirect", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/oauth/authorize" {
				http.Redirect(w, r, "/signin/error", http.StatusFound)
			}
		}, answer(429, ""), "authorize_url=ok client=unknown redirect_uri=problem token_url=ok", provider.CheckRedirect, "refuses the authorization request"},
		{"scopes that are not taken", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Query().Get("redirect_uri")+"?error=invalid_scope", http.StatusFound)
		}, answer(400, `{"error":"unauthorized_client"}`), "authorize_url=ok client=problem redirect_uri=problem token_url=ok", provider.CheckRedirect, "correct scopes"},
		{"another site", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
		}, answer(302, ""), "authorize_url=ok redirect_uri=unknown token_url=problem", provider.CheckToken, "leads elsewhere"},
		{"GitHub's mismatch", answer(200, ""), answer(200, `{"error":"redirect_uri_mismatch"}`),
			"authorize_url=ok client=unknown redirect_uri=unknown token_url=ok", provider.CheckClient, "register it exactly"},
		{"tokens for everyone", answer(200, ""), answer(200, `{"access_token":"x"}`),
			"authorize_url=ok redirect_uri=unknown token_url=problem", provider.CheckToken, "made up"},
		{"an outage", answer(503, ""), answer(503, ""), "authorize_url=problem token_url=problem", provider.CheckAuthorize, "try again later"},
		{"a page in place of a token endpoint", answer(200, ""), answer(200, "<html>"), "authorize_url=ok redirect_uri=unknown token_url=problem", provider.CheckToken, "address of something else"},
	} {
		t.Run(row.name, func(t *testing.T) {
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					row.token(w, r)
				} else {
					row.authorize(w, r)
				}
			}))
			defer web.Close()
			findings := probeAt(t, web.URL, func(c *provider.Config) { c.Definition.RevokeURL = "" })
			if got := verdicts(findings); got != row.want {
				t.Errorf("got  %s\nwant %s", got, row.want)
			}
			if got := findings[row.about].Text; !strings.Contains(got, row.says) {
				t.Errorf("%s: %s; want it to say %q", row.about, got, row.says)
			}
		})
	}
}

func TestAProbeLooksAtCertificates(t *testing.T) {
	web := httptest.NewUnstartedServer(http.NotFoundHandler())
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.StartTLS()
	defer web.Close()
	findings := probeAt(t, web.URL, func(c *provider.Config) { c.Definition.RevokeURL = "" })
	if got, want := verdicts(findings), "authorize_url=problem token_url=problem"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := findings[provider.CheckToken].Text; !strings.Contains(got, "authority that this machine does not know") {
		t.Error(got)
	}
}
