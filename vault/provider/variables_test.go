package provider

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenvault/tokenvault/vault/secret"
)

func canary() secret.String { return secret.New("client-canary") }

// domainOf returns the last two labels of a URL's host.
func domainOf(t *testing.T, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatalf("%q is not a URL: %v", raw, err)
	}
	labels := strings.Split(u.Hostname(), ".")
	return strings.Join(labels[max(0, len(labels)-2):], ".")
}

// inProcess answers requests without a network.
type inProcess func(http.ResponseWriter, *http.Request)

func (f inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	f(w, r)
	return w.Result(), nil
}

func shopDefinition() Definition {
	return Definition{
		AuthorizeURL: "https://{shop}.shops.example/authorize", TokenURL: "https://{shop}.shops.example/token",
		RevokeURL: "https://{shop}.shops.example/revoke", ClientAuth: ClientAuthPost, PKCE: PKCENone,
		Variables:    map[string]Variable{"shop": {Pattern: "^[a-z0-9-]+$"}},
		AfterConnect: &AfterConnect{URL: "https://{shop}.shops.example/shop"},
		Account:      AccountPointers{ID: "/id"},
		APIBaseURL:   "https://{shop}.shops.example/api",
		APIHeaders:   map[string]string{"X-Shop-Token": "{access_token}", "X-Shop": "{shop}"},
	}
}

func TestVariablesFillTheURLsOfOneConnection(t *testing.T) {
	var asked []string
	p, err := New(Config{Name: "shop", Definition: shopDefinition(), ClientID: "id", ClientSecret: canary(),
		Transport: inProcess(func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.URL.String())
			_, _ = w.Write([]byte(`{"access_token":"at","id":1}`))
		})})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Authorize(t.Context(), AuthorizationRequest{}); KindOf(err) != Misconfigured {
		t.Errorf("without a shop: error = %v, want a misconfiguration", err)
	}
	if _, err := p.APIBaseURL(nil); err == nil {
		t.Error("there is an API base URL without a shop")
	}
	acme, err := p.With(map[string]string{"shop": "acme"})
	if err != nil {
		t.Fatal(err)
	}
	location, err := acme.Authorize(t.Context(), AuthorizationRequest{State: "s"})
	if err != nil || !strings.HasPrefix(location, "https://acme.shops.example/authorize?") {
		t.Errorf("location = %q, error %v", location, err)
	}
	token, err := acme.Exchange(t.Context(), secret.New("code"), secret.String{})
	if err != nil {
		t.Fatal(err)
	}
	captured, err := acme.Capture(t.Context(), token.AccessToken, token.Captured)
	if err != nil || captured.Metadata["shop"] != "acme" {
		t.Errorf("captured %+v, error %v; want the shop among the metadata", captured, err)
	}
	if err := acme.Revoke(t.Context(), token); err != nil {
		t.Error(err)
	}
	base, err := acme.APIBaseURL(captured.Metadata)
	if err != nil || base != "https://acme.shops.example/api" {
		t.Errorf("base = %q, error %v", base, err)
	}
	want := map[string]string{"X-Shop-Token": "at", "X-Shop": "acme"}
	if diff := cmp.Diff(want, acme.Headers(token.AccessToken, token.TokenType, captured.Metadata)); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"https://acme.shops.example/token", "https://acme.shops.example/shop", "https://acme.shops.example/revoke"}, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestValuesThatDoNotFitAVariableAreNamed(t *testing.T) {
	p, err := New(Config{Name: "shop", Definition: shopDefinition(), ClientID: "id", ClientSecret: canary()})
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		params map[string]string
		param  string
	}{
		"missing":            {nil, "shop"},
		"empty":              {map[string]string{"shop": ""}, "shop"},
		"another host":       {map[string]string{"shop": "evil.example/"}, "shop"},
		"a line break":       {map[string]string{"shop": "acme\n"}, "shop"},
		"a name of nothing":  {map[string]string{"shop": "acme", "tenant": "x"}, "tenant"},
		"a name of anything": {map[string]string{"shop": "acme", "token_url": "x"}, "token_url"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := p.With(row.params)
			var wrong *ParamError
			if !errors.As(err, &wrong) || wrong.Name != row.param {
				t.Errorf("error = %v, want one of %s", err, row.param)
			}
		})
	}
}

func TestADefaultStandsInForAValue(t *testing.T) {
	d := shopDefinition()
	d.Variables = map[string]Variable{"shop": {Pattern: "^[a-z0-9-]+$", Default: "main"}}
	p, err := New(Config{Name: "shop", Definition: d, ClientID: "id", ClientSecret: canary()})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Definition().TokenURL; got != "https://main.shops.example/token" {
		t.Errorf("token_url = %q", got)
	}
	other, err := p.With(map[string]string{"shop": "other"})
	if err != nil || other.Definition().TokenURL != "https://other.shops.example/token" {
		t.Errorf("error %v, definition %+v", err, other)
	}
	again, err := other.With(nil)
	if err != nil || again.Definition().TokenURL != "https://main.shops.example/token" {
		t.Errorf("what was given before still counts: error %v", err)
	}
}

func TestASecretCanBeReplaced(t *testing.T) {
	var sent []string
	p, err := New(Config{Name: "shop", Definition: shopDefinition(), ClientID: "id", ClientSecret: canary(),
		Transport: inProcess(func(w http.ResponseWriter, r *http.Request) {
			sent = append(sent, r.FormValue("client_secret"))
			_, _ = w.Write([]byte(`{"access_token":"at"}`))
		})})
	if err != nil {
		t.Fatal(err)
	}
	rotated := p.WithSecret(secret.New("new-canary"))
	for _, p := range []*Provider{rotated, p} {
		bound, err := p.With(map[string]string{"shop": "acme"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bound.Refresh(t.Context(), secret.New("rt")); err != nil {
			t.Fatal(err)
		}
		if err := bound.Revoke(t.Context(), Token{AccessToken: secret.New("at")}); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"new-canary", "new-canary", "client-canary", "client-canary"}, sent); diff != "" {
		t.Errorf("secrets sent (-want +got):\n%s", diff)
	}
}

func TestWhatStandsInURLsIsLimited(t *testing.T) {
	for _, row := range []struct {
		name, tokenURL, pattern, path string
	}{
		{"a part of the host", "https://{shop}.shops.example/", "^[a-z]+$", ""},
		{"a name within the own network", "https://{shop}/token", "^[a-z]+$", ""},
		{"in the path", "https://shops.example/{shop}/token", "^[A-Za-z0-9._-]+$", ""},
		{"no pattern", "https://{shop}.shops.example/", "", "variables.shop.pattern"},
		{"an open pattern", "https://{shop}.shops.example/", "[a-z]+", "variables.shop.pattern"},
		{"dots in the host", "https://{shop}.shops.example/", "^[a-z.]+$", "variables.shop.pattern"},
		{"a slash in the path", "https://shops.example/{shop}/token", "^[a-z/]+$", "variables.shop.pattern"},
		{"no domain behind it", "https://{shop}.example/", "^[a-z]+$", "token_url"},
		{"in the domain", "https://{shop}shops.example/", "^[a-z]+$", "token_url"},
		{"at the end of the host", "https://shops.{shop}/", "^[a-z]+$", "token_url"},
		{"a user name", "https://{shop}@shops.example/", "^[a-z]+$", "token_url"},
		{"the port", "https://shops.example:{shop}/", "^[0-9]+$", "token_url"},
		{"not known", "https://{tenant}.shops.example/", "^[a-z]+$", "token_url"},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := shopDefinition()
			d.TokenURL = row.tokenURL
			d.AuthorizeURL, d.RevokeURL, d.APIBaseURL, d.AfterConnect.URL = "https://a.example/", "", "", "https://a.example/"
			d.Variables = map[string]Variable{"shop": {Pattern: row.pattern}}
			problems := d.Validate()
			if row.path == "" && len(problems) > 0 {
				t.Errorf("problems = %v, want none", problems)
			}
			for _, p := range problems {
				if p.Path == row.path {
					return
				}
			}
			if row.path != "" {
				t.Errorf("problems = %v, want one of %s", problems, row.path)
			}
		})
	}
}

func TestAnOriginThatIsCapturedKeepsItsDomain(t *testing.T) {
	for pattern, want := range map[string]bool{
		`^https://[a-z0-9.-]+\.salesforce\.com$`:   true,
		`^https://api\.eu\.example\.com$`:          false, // always the same: write it into the URL
		`^https://[a-z0-9.-]+salesforce\.com$`:     false,
		`^https://[a-z0-9.-]+\.com$`:               false,
		`^http://[a-z0-9.-]+\.salesforce\.com$`:    false,
		`^https://[a-z0-9./-]+\.salesforce\.com$`:  false,
		`^https://.+\.salesforce\.com$`:            false,
		`https://[a-z0-9.-]+\.salesforce\.com`:     false,
		`^https://[a-z.]+\.salesforce\.com$|^evil`: false,
		`^https://[a-z.]+\.salesforce\.com/?$`:     false,
	} {
		if got := onlyOrigin(pattern); got != want {
			t.Errorf("onlyOrigin(%s) = %v, want %v", pattern, got, want)
		}
	}
}
