package sandbox_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/vault/sandbox"
)

// particular is a provider with an opinion on everything.
func particular() sandbox.Script {
	return sandbox.Script{
		Name: "particular", Issuer: "https://id.example/tenant",
		AuthorizeURL: "https://id.example/go?version=2", TokenURL: "https://api.example/token",
		RevokeURL: "https://api.example/revoke", DeviceURL: "https://api.example/device",
		Auth: sandbox.AuthBasic, PKCE: true, ClientCredentials: true,
		AuthorizeParams: map[string]string{"access_type": "offline"}, TokenParams: map[string]string{"action": "request"},
		BaseScopes: []string{"base"}, ScopeSeparator: ",", JSON: true, TokenPointer: "/body",
		TokenDocument: map[string]any{"body": map[string]any{"user": "{account.id}"}, "status": "0"},
		Lookup: &sandbox.Lookup{
			Method: "POST", URL: "https://api.example/me?fields=all", Body: "{}", Headers: map[string]string{"X-Token": "{access_token}"},
			Document: []any{map[string]any{"who": "{account.name}", "mail": "{account.email}"}},
		},
		APIs: []sandbox.PlayedAPI{
			{URL: "https://api.example/v1", Headers: map[string]string{"Authorization": "Token {access_token}", "Version": "7"}},
			{URL: "https://api.example/v1", Headers: map[string]string{"X-Key": "the-key"}},
		},
	}
}

func newParticular(t *testing.T, change func(*sandbox.Script)) *app {
	t.Helper()
	script := particular()
	if change != nil {
		change(&script)
	}
	return newApp(t, func(c *sandbox.Config) { c.Scripts = []sandbox.Script{script} })
}

// ask is a request that a test may spoil.
type ask struct {
	authorize url.Values
	token     map[string]string
	request   *http.Request // of the token endpoint
}

// particularFlow goes through a flow as the script wants it, spoiled at one place, and
// returns the consent's and the token endpoint's answers.
func (a *app) particularFlow(spoil func(*ask)) (consent, tokens reply) {
	a.t.Helper()
	sum := sha256.Sum256([]byte(verifier))
	q := ask{
		authorize: url.Values{
			"version": {"2"}, "client_id": {"basic"}, "redirect_uri": {redirectURI}, "response_type": {"code"}, "state": {"s"}, "scope": {"base,more"},
			"access_type": {"offline"}, "code_challenge_method": {"S256"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])},
		},
		token: map[string]string{"grant_type": "authorization_code", "redirect_uri": redirectURI, "code_verifier": verifier, "action": "request"},
	}
	q.request = httpRequest(a.t, "POST", "https://api.example/token", "") // the real one comes later
	spoil(&q)
	form := url.Values{"decision": {"approve"}, "account": {fmt.Sprint(ada)}}
	consent = a.must(httpRequest(a.t, "POST", "https://id.example/go?"+q.authorize.Encode(), form.Encode()))
	back, err := url.Parse(consent.header.Get("Location"))
	if consent.status != http.StatusFound || err != nil {
		return consent, reply{}
	}
	q.token["code"] = back.Query().Get("code")
	body, err := json.Marshal(q.token)
	if err != nil {
		a.t.Fatal(err)
	}
	q.request = httpRequest(a.t, "POST", "https://api.example/token", string(body))
	q.request.Header.Set("Content-Type", "application/json")
	q.request.SetBasicAuth("basic", url.QueryEscape("basic secret"))
	spoil(&q)
	return consent, a.must(q.request)
}

func httpRequest(t *testing.T, method, address, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req
}

func (a *app) must(req *http.Request) reply {
	a.t.Helper()
	r, err := a.do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	return r
}

func TestAScriptIsPlayed(t *testing.T) {
	a := newParticular(t, nil)
	consent, tokens := a.particularFlow(func(*ask) {})
	if back := consent.header.Get("Location"); !strings.Contains(back, "iss=https%3A%2F%2Fid.example%2Ftenant") {
		t.Errorf("redirect = %s, want iss in it", back)
	}
	body, _ := tokens.fields["body"].(map[string]any)
	token, _ := body["access_token"].(string)
	if token == "" || body["user"] != float64(ada) || body["scope"] != "base,more" || tokens.text("status") != "0" {
		t.Fatalf("token response = %s", tokens.body)
	}
	me := httpRequest(t, "POST", "https://api.example/me?fields=all", "{}")
	me.Header.Set("X-Token", token)
	if r := a.must(me); r.body != `[{"mail":"ada@example.com","who":"Analytical Engines Ltd"}]`+"\n" {
		t.Errorf("document = %s", r.body)
	}
	for name, row := range map[string]struct {
		headers map[string]string
		want    int
	}{
		"token":               {map[string]string{"Authorization": "Token " + token, "Version": "7"}, 200},
		"key":                 {map[string]string{"X-Key": "the-key"}, 200},
		"another key":         {map[string]string{"X-Key": "a-key"}, 401},
		"no version":          {map[string]string{"Authorization": "Token " + token}, 401},
		"another scheme":      {map[string]string{"Authorization": "Bearer " + token, "Version": "7"}, 401},
		"a key and a token":   {map[string]string{"X-Key": "the-key", "Authorization": "Token x"}, 401},
		"a token that is not": {map[string]string{"Authorization": "Token x", "Version": "7"}, 401},
	} {
		req := httpRequest(t, "GET", "https://api.example/v1/things?page=2", "")
		for header, value := range row.headers {
			req.Header.Set(header, value)
		}
		if r := a.must(req); r.status != row.want {
			t.Errorf("%s: status %d, want %d", name, r.status, row.want)
		}
	}
}

func TestAScriptRefusesWhatItDoesNotSay(t *testing.T) {
	const consent, token = "consent", "token"
	for _, row := range []struct {
		name, at string
		spoil    func(*ask)
	}{
		{"no state", consent, func(q *ask) { q.authorize.Del("state") }},
		{"no code challenge", consent, func(q *ask) { q.authorize.Del("code_challenge") }},
		{"no base scope", consent, func(q *ask) { q.authorize.Set("scope", "more") }},
		{"scopes with spaces", consent, func(q *ask) { q.authorize.Set("scope", "base more") }},
		{"a parameter left out", consent, func(q *ask) { q.authorize.Del("access_type") }},
		{"the URL's own parameter left out", consent, func(q *ask) { q.authorize.Del("version") }},
		{"a parameter of its own", consent, func(q *ask) { q.authorize.Set("prompt", "consent") }},
		{"a form", token, func(q *ask) { q.request.Header.Set("Content-Type", "application/x-www-form-urlencoded") }},
		{"no token parameter", token, func(q *ask) { delete(q.token, "action") }},
		{"a token parameter of its own", token, func(q *ask) { q.token["audience"] = "x" }},
		{"the secret in the body", token, func(q *ask) { q.token["client_id"], q.token["client_secret"] = "basic", "basic secret" }},
		{"another secret", token, func(q *ask) { q.request.SetBasicAuth("basic", "x") }},
		{"another verifier", token, func(q *ask) { q.token["code_verifier"] = "x" }},
		{"http", token, func(q *ask) { q.request.URL.Scheme = "http" }},
		{"another path", token, func(q *ask) { q.request.URL.Path = "/oauth/token" }},
		{"a query", token, func(q *ask) { q.request.URL.RawQuery = "x=y" }},
		{"another method", token, func(q *ask) { q.request.Method = "PUT" }},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, r := newParticular(t, nil).particularFlow(row.spoil)
			if row.at == consent && c.status != http.StatusBadRequest {
				t.Errorf("consent: status %d", c.status)
			}
			if row.at == token && (r.status < 400 || strings.Contains(r.body, "access_token")) {
				t.Errorf("token: status %d: %s", r.status, r.body)
			}
		})
	}
	t.Run("a code challenge that is not documented", func(t *testing.T) {
		if c, _ := newParticular(t, func(s *sandbox.Script) { s.PKCE = false }).particularFlow(func(*ask) {}); c.status != http.StatusBadRequest {
			t.Errorf("consent: status %d", c.status)
		}
	})
}

func TestScriptsAreCheckedAndKeptApart(t *testing.T) {
	one, other := particular(), particular()
	other.Name = "other"
	for name, scripts := range map[string][]sandbox.Script{
		"the same URLs":  {one, other},
		"the same name":  {one, one.At("http://127.0.0.1:1")},
		"no name":        {{}},
		"a bad quirk":    {{Name: "x", Quirks: []sandbox.Quirk{"none"}}},
		"not a URL":      {{Name: "x", TokenURL: "token"}},
		"negative grace": {{Name: "x", ReuseGrace: -1}},
	} {
		if _, err := sandbox.New(sandbox.Config{Scripts: scripts}); err == nil {
			t.Errorf("%s: there is no error", name)
		}
	}
	a := newApp(t, func(c *sandbox.Config) { c.Scripts = []sandbox.Script{one, other.At("https://moved.example")} })
	_, tokens := a.particularFlow(func(*ask) {})
	body, _ := tokens.fields["body"].(map[string]any)
	req := httpRequest(t, "GET", "https://moved.example/other/api/things", "")
	req.Header.Set("Authorization", fmt.Sprint("Token ", body["access_token"]))
	req.Header.Set("Version", "7")
	if r := a.must(req); r.status != http.StatusUnauthorized {
		t.Errorf("a token of one provider at another: status %d", r.status)
	}
	if r := a.must(httpRequest(t, "GET", "https://moved.example/", "")); !strings.Contains(r.body, "particular: https://id.example/go") {
		t.Errorf("the first page does not say what is played:\n%s", r.body)
	}
}

func TestQuirksOfAScriptAreThoseOfItsTokenEndpoint(t *testing.T) {
	a := newParticular(t, func(s *sandbox.Script) {
		s.TokenPointer, s.TokenDocument = "", nil
		s.Endless, s.NoRefresh, s.TokenType = true, true, "bot"
		s.Quirks = []sandbox.Quirk{sandbox.ErrorOKFalse, sandbox.ExpiresInMissing}
	})
	_, r := a.particularFlow(func(*ask) {})
	names := []string{}
	for name := range r.fields {
		names = append(names, name)
	}
	slices.Sort(names)
	if got := strings.Join(names, " "); got != "access_token ok scope token_type" || r.text("token_type") != "bot" {
		t.Errorf("answer = %s", r.body)
	}
}
