package provider_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// newProvider returns a provider whose endpoints are all at handler.
func newProvider(t *testing.T, handler http.HandlerFunc, change func(*provider.Definition)) *provider.Provider {
	t.Helper()
	web := httptest.NewServer(handler)
	t.Cleanup(web.Close)
	d := provider.Definition{
		AuthorizeURL: web.URL + "/authorize", TokenURL: web.URL + "/token", RevokeURL: web.URL + "/revoke",
		ClientAuth: provider.ClientAuthPost, AllowPrivateNetwork: true,
		AfterConnect: &provider.AfterConnect{URL: web.URL + "/me", Capture: map[string]provider.Capture{
			"dc": {Pointer: "/dc", Pattern: "^[a-z]+[0-9]+$", Required: true},
		}},
		Account: provider.AccountPointers{ID: "/id", Name: "/login/name"},
	}
	if change != nil {
		change(&d)
	}
	p, err := provider.New(provider.Config{Name: "acme", Definition: d, ClientID: "id", ClientSecret: secret.New("client-canary"), RedirectURL: "https://v.example/oauth/acme/callback"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func TestErrorsAreClassified(t *testing.T) {
	for _, row := range []struct {
		name   string
		status int
		body   string
		want   provider.Kind
		code   string
	}{
		{"invalid_grant", 400, `{"error":"invalid_grant","error_description":"canary"}`, provider.InvalidGrant, "invalid_grant"},
		{"invalid_grant with 200", 200, `{"error":"invalid_grant"}`, provider.InvalidGrant, "invalid_grant"},
		{"GitHub's code", 200, `{"error":"bad_verification_code"}`, provider.InvalidGrant, "bad_verification_code"},
		{"invalid_client", 401, `{"error":"invalid_client"}`, provider.Misconfigured, "invalid_client"},
		{"401 without a code", 401, `{}`, provider.Misconfigured, ""},
		{"an unknown code", 400, `{"error":"cosmic_rays"}`, provider.Transient, "cosmic_rays"},
		{"server error", 503, `<html>`, provider.Transient, ""},
		{"HTML with 200", 200, `<html>`, provider.Transient, ""},
		{"nothing with 200", 200, `{}`, provider.Transient, ""},
		{"redirect", 307, ``, provider.Transient, ""},
		{"too many requests", 429, `{}`, provider.Transient, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := newProvider(t, answer(row.status, row.body), nil)
			_, err := p.Refresh(t.Context(), secret.New("refresh-canary"))
			var e *provider.Error
			if !errors.As(err, &e) || e.Kind != row.want || e.Code != row.code {
				t.Fatalf("error = %v, want kind %v and code %q", err, row.want, row.code)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error repeats what it must not: %v", err)
			}
		})
	}
}

func TestRetryAfterIsRead(t *testing.T) {
	p := newProvider(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
	}, nil)
	_, err := p.Refresh(t.Context(), secret.New("rt"))
	if got := provider.RetryAfter(err); got != 7*time.Second {
		t.Errorf("RetryAfter = %v, want 7s", got)
	}
}

func TestSecretsAreNotSentAfterARedirect(t *testing.T) {
	trapped := 0
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { trapped++ }))
	defer trap.Close()
	p := newProvider(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, trap.URL, http.StatusTemporaryRedirect)
	}, nil)
	if _, err := p.Exchange(t.Context(), secret.New("code"), provider.NewVerifier()); err == nil {
		t.Error("a redirecting token endpoint was followed")
	}
	if _, err := p.Capture(t.Context(), secret.New("at"), provider.Captured{}); err == nil {
		t.Error("a redirect to another host was followed with the token")
	}
	if err := p.Revoke(t.Context(), provider.Token{AccessToken: secret.New("at")}); err == nil {
		t.Error("a redirecting revocation endpoint was followed")
	}
	if trapped != 0 {
		t.Errorf("the trap was hit %d times", trapped)
	}
}

func TestAnAccessTokenGoesWithItsRefreshToken(t *testing.T) {
	both := provider.Token{AccessToken: secret.New("at"), RefreshToken: secret.New("rt")}
	for _, row := range []struct {
		name            string
		token           provider.Token
		refresh, access int
		want            bool
	}{
		{"both are revoked", both, 200, 200, true},
		{"the access token is gone already", both, 200, 400, true},
		{"access tokens are not taken", both, 200, 404, true},
		{"the access token is left", both, 200, 503, false},
		{"nothing is revoked", both, 400, 400, false},
		{"the refresh token is left", both, 503, 200, false},
		{"there is no refresh token", provider.Token{AccessToken: secret.New("at")}, 200, 400, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := newProvider(t, func(w http.ResponseWriter, r *http.Request) {
				if r.FormValue("token_type_hint") == "refresh_token" {
					w.WriteHeader(row.refresh)
				} else {
					w.WriteHeader(row.access)
				}
			}, nil)
			if err := p.Revoke(t.Context(), row.token); (err == nil) != row.want {
				t.Errorf("error = %v, want none: %v", err, row.want)
			}
		})
	}
}

func TestTheLookUpFollowsARedirectOnItsHost(t *testing.T) {
	p := newProvider(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/me" {
			http.Redirect(w, r, "/moved", http.StatusFound)
			return
		}
		if r.Header.Get("Authorization") != "Bearer at" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answer(200, `{"dc":"us6","id":12345678901234567890,"login":{"name":"Ada"}}`)(w, r)
	}, nil)
	got, err := p.Capture(t.Context(), secret.New("at"), provider.Captured{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Metadata["dc"] != "us6" || got.Account.ID != "12345678901234567890" || got.Account.Name != "Ada" {
		t.Errorf("captured %+v", got)
	}
}

func TestACaptureThatDoesNotFitIsRefused(t *testing.T) {
	for name, body := range map[string]string{
		"a host name in it":   `{"dc":"us6.evil.example","id":1}`,
		"a line break at end": `{"dc":"us6\n","id":1}`,
		"missing":             `{"id":1}`,
		"an object":           `{"dc":{},"id":1}`,
		"no id":               `{"dc":"us6"}`,
		"not JSON":            `us6`,
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t, answer(200, body), nil)
			if got, err := p.Capture(t.Context(), secret.New("at"), provider.Captured{}); err == nil {
				t.Errorf("captured %+v", got)
			}
		})
	}
}

func TestNamesThatLookLikeOthersAreNotTaken(t *testing.T) {
	for _, row := range []struct{ name, told, want string }{
		{"of another script", "عائشة", "عائشة"},
		{"with joiners", `\u0639\u0644\u06cc\u200c\u0631\u0636\u0627 \u0d28\u0d4d\u200d`, "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627 \u0d28\u0d4d\u200d"},
		{"with a line break", `Ada\n`, ""},
		{"with an override of the direction", `Ada \u202emoc.live`, ""},
		{"with an isolate", `Ada \u2066x\u2069`, ""},
		{"with what nobody sees", `A\u200bda`, ""},
		{"with a soft hyphen", `A\u00adda`, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := newProvider(t, answer(200, `{"dc":"us6","id":1,"login":{"name":"`+row.told+`"}}`), nil)
			got, err := p.Capture(t.Context(), secret.New("at"), provider.Captured{})
			if err != nil || got.Account.Name != row.want {
				t.Errorf("the account's name is %q (%v), want %q", got.Account.Name, err, row.want)
			}
		})
	}
}

func TestTheAuthorizationRequest(t *testing.T) {
	p := newProvider(t, answer(200, ""), func(d *provider.Definition) {
		d.Scopes = []string{"a", "b"}
		d.ScopeSeparator = ","
		d.AuthorizeParams = map[string]string{"access_type": "offline"}
	})
	location, err := p.Authorize(t.Context(), provider.AuthorizationRequest{State: "s", Verifier: provider.NewVerifier(), LoginHint: "ada@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	for name, want := range map[string]string{
		"response_type": "code", "client_id": "id", "state": "s", "scope": "a,b", "access_type": "offline",
		"code_challenge_method": "S256", "login_hint": "ada@example.com", "redirect_uri": "https://v.example/oauth/acme/callback",
	} {
		if got := q.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if len(q.Get("code_challenge")) != 43 {
		t.Errorf("code_challenge = %q", q.Get("code_challenge"))
	}
}

func TestTokensThatWouldBreakAHeaderAreRefused(t *testing.T) {
	for name, token := range map[string]string{"a line break": `a\r\nX: y`, "a space": "a b", "too long": strings.Repeat("a", 16<<10+1)} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t, answer(200, `{"access_token":"`+token+`"}`), nil)
			if _, err := p.Refresh(t.Context(), secret.New("rt")); err == nil {
				t.Error("accepted")
			}
		})
	}
}

// roundTrip answers requests without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestRequestsGoThroughTheTransportOfTheConfiguration(t *testing.T) {
	asked := ""
	p, err := provider.New(provider.Config{
		Name: "acme", ClientID: "id", RedirectURL: "https://v.example/cb",
		Definition: provider.Definition{AuthorizeURL: "https://a.example/", TokenURL: "https://a.example/token", ClientAuth: provider.ClientAuthNone},
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			asked = r.URL.String() + " " + r.UserAgent()
			w := httptest.NewRecorder()
			answer(200, `{"access_token":"at"}`)(w, r)
			return w.Result(), nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	token, err := p.Refresh(t.Context(), secret.New("rt"))
	if err != nil || token.AccessToken.Reveal() != "at" || asked != "https://a.example/token tokenvault" {
		t.Errorf("asked %q, error %v", asked, err)
	}
}

func TestPrivateAddressesAreNotDialled(t *testing.T) {
	hit := false
	web := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hit = true }))
	defer web.Close()
	d := provider.Definition{
		AuthorizeURL: "https://a.example/", TokenURL: strings.Replace(web.URL, "http://", "https://", 1), ClientAuth: provider.ClientAuthNone,
	}
	p, err := provider.New(provider.Config{Name: "acme", Definition: d, ClientID: "id", RedirectURL: "https://v.example/cb"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Refresh(t.Context(), secret.New("rt"))
	if err == nil || !strings.Contains(err.Error(), "allow_private_network") || hit {
		t.Errorf("error = %v, hit = %v; want a refusal that names allow_private_network", err, hit)
	}
}

func TestWrongDefinitionsAreNamed(t *testing.T) {
	good := func() provider.Definition {
		return provider.Definition{
			AuthorizeURL: "https://a.example/authorize", TokenURL: "https://a.example/token", ClientAuth: provider.ClientAuthBasic,
			AfterConnect: &provider.AfterConnect{URL: "https://a.example/me", Capture: map[string]provider.Capture{
				"dc": {Pointer: "/dc", Pattern: "^[a-z]+[0-9]+$", Required: true},
			}},
			APIBaseURL: "https://{dc}.a.example/",
		}
	}
	if problems := good().Validate(); len(problems) > 0 {
		t.Fatalf("a good definition has problems: %v", problems)
	}
	capture := func(c provider.Capture) func(*provider.Definition) {
		return func(d *provider.Definition) { d.AfterConnect.Capture["dc"] = c }
	}
	for _, row := range []struct {
		name   string
		change func(*provider.Definition)
		path   string
	}{
		{"no authorize_url", func(d *provider.Definition) { d.AuthorizeURL = "" }, "authorize_url"},
		{"plain http", func(d *provider.Definition) { d.TokenURL = "http://a.example/token" }, "token_url"},
		{"http on loopback without leave", func(d *provider.Definition) { d.TokenURL = "http://127.0.0.1/token" }, "token_url"},
		{"user name in a URL", func(d *provider.Definition) { d.RevokeURL = "https://u:p@a.example/" }, "revoke_url"},
		{"client_auth not said", func(d *provider.Definition) { d.ClientAuth = "" }, "client_auth"},
		{"unknown pkce", func(d *provider.Definition) { d.PKCE = "plain" }, "pkce"},
		{"public client without pkce", func(d *provider.Definition) { d.ClientAuth, d.PKCE = "none", "none" }, "pkce"},
		{"scopes in one text", func(d *provider.Definition) { d.Scopes = []string{"a b"} }, "scopes"},
		{"a reserved parameter", func(d *provider.Definition) { d.AuthorizeParams = map[string]string{"state": "x"} }, "authorize_params.state"},
		{"no pattern in a host", capture(provider.Capture{Pointer: "/dc", Required: true}), "after_connect.capture.dc.pattern"},
		{"an open pattern", capture(provider.Capture{Pointer: "/dc", Pattern: "[a-z]+", Required: true}), "after_connect.capture.dc.pattern"},
		{"a dot in the pattern", capture(provider.Capture{Pointer: "/dc", Pattern: "^[a-z.]+$", Required: true}), "after_connect.capture.dc.pattern"},
		{"any character in the pattern", capture(provider.Capture{Pointer: "/dc", Pattern: "^.+$", Required: true}), "after_connect.capture.dc.pattern"},
		{"an alternative that escapes", capture(provider.Capture{Pointer: "/dc", Pattern: "^a$|evil", Required: true}), "after_connect.capture.dc.pattern"},
		{"many lines", capture(provider.Capture{Pointer: "/dc", Pattern: "(?m)^[a-z]+$", Required: true}), "after_connect.capture.dc.pattern"},
		{"any case", capture(provider.Capture{Pointer: "/dc", Pattern: "(?i)^k$", Required: true}), "after_connect.capture.dc.pattern"},
		{"no regular expression", capture(provider.Capture{Pointer: "/dc", Pattern: "^[", Required: true}), "after_connect.capture.dc.pattern"},
		{"not required", capture(provider.Capture{Pointer: "/dc", Pattern: "^[a-z]+$"}), "api_base_url"},
		{"an unknown part", func(d *provider.Definition) { d.APIBaseURL = "https://{x}.a.example/" }, "api_base_url"},
		{"a brace left open", func(d *provider.Definition) { d.APIBaseURL = "https://{dc.a.example/" }, "api_base_url"},
		{"no JSON pointer", capture(provider.Capture{Pointer: "dc", Pattern: "^[a-z]+$", Required: true}), "after_connect.capture.dc.pointer"},
		{"an account pointer that is none", func(d *provider.Definition) { d.Account.ID = "id" }, "account.id"},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := good()
			row.change(&d)
			problems := d.Validate()
			for _, p := range problems {
				if p.Path == row.path {
					return
				}
			}
			t.Errorf("problems = %v, want one of %s", problems, row.path)
		})
	}
}
