package playbook_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/sandbox/playbook"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// TestTheCatalogueIsPlayedOnOneSocket is what people do who test their own
// integrations: all providers at one address, over HTTP.
func TestTheCatalogueIsPlayedOnOneSocket(t *testing.T) {
	all, err := provider.Templates()
	if err != nil {
		t.Fatal(err)
	}
	var sb *sandbox.Sandbox
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { sb.ServeHTTP(w, r) }))
	defer web.Close()
	const redirect = "http://127.0.0.1:1/callback"
	clients := []sandbox.Client{{ID: "app", Secret: "secret", RedirectURIs: []string{redirect}}}
	parts := map[string]playbook.Part{}
	var scripts []sandbox.Script
	for name, d := range all {
		part, err := playbook.Cast(name, d, clients)
		if err != nil {
			t.Fatal(err)
		}
		parts[name] = part.At(web.URL)
		scripts = append(scripts, parts[name].Script)
	}
	if sb, err = sandbox.New(sandbox.Config{Scripts: scripts}); err != nil {
		t.Fatal(err)
	}
	for name, part := range parts {
		t.Run(name, func(t *testing.T) {
			c := provider.Config{Name: name, Definition: part.Definition(), RedirectURL: redirect}
			if all[name].HasOAuth() {
				c.ClientID, c.ClientSecret = "app", secret.New("secret")
			}
			p, err := provider.New(c)
			if err != nil {
				t.Fatal(err)
			}
			if p, err = p.With(part.Params); err != nil {
				t.Fatal(err)
			}
			if base, err := p.APIBaseURL(part.Metadata); err != nil || base != "" && base != web.URL+"/"+name+"/api" {
				t.Errorf("api_base_url = %q, %v", base, err)
			}
			if !p.HasOAuth() {
				return
			}
			captured := consent(t, p)
			if id := all[name].Account.ID; (captured.Account.ID != "") != (id != "") {
				t.Errorf("account = %+v", captured.Account)
			}
		})
	}
}

// consent takes a person through the pages, and asks whose the token is.
func consent(t *testing.T, p *provider.Provider) provider.Captured {
	t.Helper()
	verifier := provider.NewVerifier()
	link, err := p.Authorize(t.Context(), provider.AuthorizationRequest{State: "state", Verifier: verifier})
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasSuffix(r.URL.Path, "/callback") {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	resp, err := sandbox.Person{Client: browser}.Approve(t.Context(), link, sandbox.DefaultAccounts()[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	back, err := resp.Location()
	if err != nil {
		t.Fatalf("the consent ended at status %d", resp.StatusCode)
	}
	token, err := p.Exchange(t.Context(), secret.New(back.Query().Get("code")), verifier)
	if err != nil {
		t.Fatal(err)
	}
	captured, err := p.Capture(t.Context(), token.AccessToken, token.Captured)
	if err != nil {
		t.Fatal(err)
	}
	return captured
}
