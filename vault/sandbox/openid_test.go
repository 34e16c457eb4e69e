package sandbox_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/login"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// site is a sandbox on a socket, at which people sign in.
type site struct {
	*app
	url     string
	browser *http.Client
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{app: newApp(t, nil)}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	s.url, s.http = web.URL, &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	s.browser = s.http
	return s
}

// approve consents to an authorization request as an account, and returns what the app
// is sent.
func (s *site) approve(link string, account int) url.Values {
	s.t.Helper()
	resp, err := sandbox.Person{Client: s.browser}.Approve(s.t.Context(), link, account)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	back, err := resp.Location()
	if err != nil {
		s.t.Fatalf("the person ended at status %d: %v", resp.StatusCode, err)
	}
	return back.Query()
}

// tokens sends a token request of a client with a secret.
func (s *site) tokens(form url.Values) reply {
	s.t.Helper()
	form.Set("client_id", "post")
	form.Set("client_secret", "post secret")
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return s.must(req)
}

func TestPeopleSignInAtTheStandardProvider(t *testing.T) {
	grace := sandbox.DefaultAccounts()[1].ID
	for _, row := range []struct {
		name, claim string
		account     int
		want        string
	}{
		{"by the account's number", "", ada, "31415926"},
		{"by their name there", "preferred_username", ada, "alice"},
		{"by their email", "email", ada, "ada@example.com"},
		{"as somebody else", "preferred_username", grace, "bob"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t)
			party := login.New(login.Config{Issuer: s.url + "/oauth", ClientID: "basic", ClientSecret: secret.New("basic secret"), RedirectURL: redirectURI, SubjectClaim: row.claim})
			verifier := secret.New(oauth2.GenerateVerifier())
			link, err := party.AuthorizeURL(t.Context(), "state", "nonce", verifier, false)
			if err != nil {
				t.Fatal(err)
			}
			code := secret.New(s.approve(link, row.account).Get("code"))
			if got, err := party.Subject(t.Context(), code, "nonce", verifier); got != row.want || err != nil {
				t.Errorf("subject = %q, %v; want %q", got, err, row.want)
			}
		})
	}
}

func TestASignInIsForTheOneWhoBeganIt(t *testing.T) {
	s := newSite(t)
	party := login.New(login.Config{Issuer: s.url + "/oauth", ClientID: "basic", ClientSecret: secret.New("basic secret"), RedirectURL: redirectURI})
	verifier := secret.New(oauth2.GenerateVerifier())
	link, err := party.AuthorizeURL(t.Context(), "state", "nonce", verifier, false)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := party.Subject(t.Context(), secret.New(s.approve(link, ada).Get("code")), "another", verifier); err == nil || !strings.Contains(err.Error(), "nonce") {
		t.Errorf("subject = %q, %v; want that the nonce is another", got, err)
	}
}

func TestThePageSaysThatAnAppAsksWhoOneIs(t *testing.T) {
	s := newSite(t)
	for scope, want := range map[string]string{"openid": "Who are you?", "a b": "Which account?", "openid a": "Which account?"} {
		q := authorization("post")
		q.Set("scope", scope)
		resp, err := s.browser.Get(s.url + "/oauth/authorize?" + q.Encode())
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if err != nil || !strings.Contains(string(body), want) || !strings.Contains(string(body), "made up") {
			t.Errorf("with scope %s, the page has no %q: %v\n%s", scope, want, err, body)
		}
	}
}

const resource = "http://127.0.0.1:8091/mcp"

// read returns what a JWT says, and what kind of JWT it is.
func read(t *testing.T, token string) (claims map[string]any, kind any) {
	t.Helper()
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatalf("%q is no JWT: %v", token, err)
	}
	if err := parsed.UnsafeClaimsWithoutVerification(&claims); err != nil {
		t.Fatal(err)
	}
	return claims, parsed.Headers[0].ExtraHeaders[jose.HeaderType]
}

func TestATokenForAResourceNamesItsPerson(t *testing.T) {
	s := newSite(t)
	q := authorization("post")
	q.Set("resource", resource)
	form := redemption(s.approve(s.url+"/oauth/authorize?"+q.Encode(), ada).Get("code"))
	first := s.tokens(form)
	again := s.tokens(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.text("refresh_token")}})
	v, err := access.NewVerifier(access.VerifierConfig{Issuer: access.Issuer{URL: s.url + "/oauth"}, Audience: resource, Claim: "preferred_username"})
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]reply{"the first": first, "after a refresh": again} {
		token := r.text("access_token")
		user, err := v.Verify(t.Context(), secret.New(token))
		if err != nil || user.Subject != "alice" || !cmp.Equal(user.Scopes, []string{"a", "b"}) {
			t.Errorf("%s: user = %+v, %v; want alice with a and b", name, user, err)
		}
		if !s.Valid(token) {
			t.Errorf("%s: the provider does not know the token", name)
		}
	}
}

func TestWhatIsSignedSaysWhatItIs(t *testing.T) {
	s := newSite(t)
	q := authorization("post")
	q.Set("scope", "openid")
	q.Set("resource", resource)
	r := s.tokens(redemption(s.approve(s.url+"/oauth/authorize?"+q.Encode(), ada).Get("code")))
	machine := s.tokens(url.Values{"grant_type": {"client_credentials"}, "resource": {resource}})
	person := map[string]any{"sub": "31415926", "name": "Ada Lovelace", "email": "ada@example.com", "email_verified": true, "preferred_username": "alice", "iss": s.url + "/oauth", "sandbox": true}
	with := func(claims map[string]any, pairs ...any) map[string]any {
		all := map[string]any{}
		for name, value := range claims {
			all[name] = value
		}
		for i := 0; i < len(pairs); i += 2 {
			all[pairs[i].(string)] = pairs[i+1]
		}
		return all
	}
	for _, row := range []struct {
		name, token string
		kind        string
		want        map[string]any
	}{
		{"an ID token", r.text("id_token"), "JWT", with(person, "aud", "post")},
		{"a person's access token", r.text("access_token"), "at+jwt", with(person, "aud", resource, "client_id", "post", "scope", "openid")},
		{"a client's access token", machine.text("access_token"), "at+jwt", map[string]any{
			"sub": "post", "aud": resource, "client_id": "post", "scope": "", "iss": s.url + "/oauth", "sandbox": true,
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, kind := read(t, row.token)
			if got["exp"].(float64)-got["iat"].(float64) != 3600 {
				t.Errorf("it lives from %v to %v, want an hour", got["iat"], got["exp"])
			}
			for _, name := range []string{"iat", "exp", "jti"} {
				delete(got, name)
			}
			if diff := cmp.Diff(row.want, got); diff != "" || kind != row.kind {
				t.Errorf("kind %v, claims (-want +got):\n%s", kind, diff)
			}
		})
	}
	if machine.fields["id_token"] != nil || machine.fields["refresh_token"] != nil {
		t.Errorf("a machine gets %s", machine.body)
	}
}

func TestTokensWithoutAResourceSayNothing(t *testing.T) {
	s := newSite(t)
	r := s.tokens(redemption(s.approve(s.url+"/oauth/authorize?"+authorization("post").Encode(), ada).Get("code")))
	if token := r.text("access_token"); token == "" || strings.Contains(token, ".") || r.fields["id_token"] != nil {
		t.Errorf("tokens are %s", r.body)
	}
}

func TestAResourceThatWasNotConsentedToIsRefused(t *testing.T) {
	s := newSite(t)
	q := authorization("post")
	q.Set("resource", resource)
	form := redemption(s.approve(s.url+"/oauth/authorize?"+q.Encode(), ada).Get("code"))
	form.Set("resource", "https://other.example.com/")
	wantRefused(t, s.tokens(form), http.StatusBadRequest, "invalid_target")
	form.Set("resource", resource)
	r := s.tokens(form)
	wantRefused(t, s.tokens(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {r.text("refresh_token")}, "resource": {"https://other.example.com/"}}), http.StatusBadRequest, "invalid_target")
	wantRefused(t, s.tokens(url.Values{"grant_type": {"client_credentials"}, "resource": {"mcp"}}), http.StatusBadRequest, "invalid_target")
	wantRefused(t, s.tokens(url.Values{"grant_type": {"client_credentials"}, "resource": {resource + "#x"}}), http.StatusBadRequest, "invalid_target")
}

func TestAKeyEndsWithItsSandbox(t *testing.T) {
	one, another := newSite(t), newSite(t)
	token := one.tokens(url.Values{"grant_type": {"client_credentials"}, "resource": {resource}}).text("access_token")
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name string
		at   *site
		want bool
	}{{"its own", one, true}, {"another", another, false}} {
		var set jose.JSONWebKeySet
		resp, err := row.at.browser.Get(row.at.url + "/oauth/keys")
		if err != nil {
			t.Fatal(err)
		}
		if err := decode(resp, &set); err != nil {
			t.Fatal(err)
		}
		if err := parsed.Claims(set, &map[string]any{}); (err == nil) != row.want {
			t.Errorf("with the keys of %s, the token verifies with %v", row.name, err)
		}
		if len(set.Keys) != 1 || !set.Keys[0].IsPublic() {
			t.Errorf("%s publishes %d keys, want one that is public", row.name, len(set.Keys))
		}
	}
}

func decode(resp *http.Response, into any) error {
	return errors.Join(json.NewDecoder(resp.Body).Decode(into), resp.Body.Close())
}
