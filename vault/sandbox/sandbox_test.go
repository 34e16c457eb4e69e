package sandbox_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tokenvault/tokenvault/vault/sandbox"
)

const (
	base        = "http://sandbox.example"
	redirectURI = "http://app.example/callback"
	verifier    = "a-code-verifier-of-at-least-forty-three-characters"
	ada         = 31415926
)

// app is a client of a sandbox, with three registrations: post, basic and none.
type app struct {
	*sandbox.Sandbox
	t    *testing.T
	http *http.Client
}

func newApp(t *testing.T, change func(*sandbox.Config)) *app {
	t.Helper()
	c := sandbox.Config{Clients: []sandbox.Client{
		{ID: "post", Secret: "post secret", Auth: sandbox.AuthPost, RedirectURIs: []string{redirectURI}},
		{ID: "basic", Secret: "basic secret", Auth: sandbox.AuthBasic, RedirectURIs: []string{redirectURI}},
		{ID: "none", Auth: sandbox.AuthNone, RedirectURIs: []string{redirectURI}},
	}}
	if change != nil {
		change(&c)
	}
	s, err := sandbox.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return &app{Sandbox: s, t: t, http: &http.Client{
		Transport:     s.Transport(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// reply is an answer of the token or revocation endpoint.
type reply struct {
	status int
	header http.Header
	fields map[string]any
	body   string
}

func (r reply) text(name string) string {
	s, _ := r.fields[name].(string)
	return s
}

func (a *app) do(req *http.Request) (reply, error) {
	resp, err := a.http.Do(req)
	if err != nil {
		return reply{}, err
	}
	body, err := io.ReadAll(resp.Body)
	if closeErr := resp.Body.Close(); err == nil {
		err = closeErr
	}
	r := reply{status: resp.StatusCode, header: resp.Header, body: string(body)}
	_ = json.Unmarshal(body, &r.fields) // some are no JSON
	return r, err
}

func postRequest(ctx context.Context, t *testing.T, path string, form url.Values) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req
}

// post sends a form and expects an answer.
func (a *app) post(path string, form url.Values) reply {
	a.t.Helper()
	r, err := a.do(postRequest(a.t.Context(), a.t, path, form))
	if err != nil {
		a.t.Fatal(err)
	}
	return r
}

func refreshForm(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {"post"}, "client_secret": {"post secret"}}
}

func (a *app) refresh(token string) reply {
	a.t.Helper()
	return a.post("/oauth/token", refreshForm(token))
}

// mustRefresh refreshes and returns the new refresh token.
func (a *app) mustRefresh(token string) string {
	a.t.Helper()
	r := a.refresh(token)
	if r.status != http.StatusOK || !a.Valid(r.text("access_token")) {
		a.t.Fatalf("refresh: status %d, %s", r.status, r.body)
	}
	return r.text("refresh_token")
}

// wantRefused checks a refusal of RFC 6749, section 5.2.
func wantRefused(t *testing.T, r reply, status int, code string) {
	t.Helper()
	if r.status != status || r.text("error") != code {
		t.Errorf("status %d, %s; want status %d and error %q", r.status, r.body, status, code)
	}
}

// authorization is a correct authorization request of a client.
func authorization(client string) url.Values {
	sum := sha256.Sum256([]byte(verifier))
	return url.Values{
		"response_type": {"code"}, "client_id": {client}, "redirect_uri": {redirectURI}, "state": {"xyz"}, "scope": {"a b"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
}

// approve consents as Ada and returns what the app is sent.
func (a *app) approve(client string) url.Values {
	a.t.Helper()
	resp, err := sandbox.Person{Client: a.http}.Approve(a.t.Context(), base+"/oauth/authorize?"+authorization(client).Encode(), ada)
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	back, err := resp.Location()
	if err != nil {
		a.t.Fatalf("the consent ended at status %d: %v", resp.StatusCode, err)
	}
	return back.Query()
}

// redemption is a correct token request for a code.
func redemption(code string) url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirectURI}, "code_verifier": {verifier},
		"client_id": {"post"}, "client_secret": {"post secret"},
	}
}

const (
	hour = time.Hour
	day  = 24 * time.Hour
)
