package client_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/client"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// api stands in for everything that a client sends requests to, and remembers them.
type api struct {
	answer func(*http.Request) *http.Response

	mu   sync.Mutex
	seen []seen
}

// seen is a request, as far as tests compare it.
type seen struct{ method, url, authorization, body string }

func (a *api) RoundTrip(req *http.Request) (*http.Response, error) {
	s := seen{method: req.Method, url: req.URL.String(), authorization: req.Header.Get("Authorization")}
	if req.Body != nil {
		body, err := io.ReadAll(req.Body)
		if err := errors.Join(err, req.Body.Close()); err != nil {
			return nil, err
		}
		s.body = string(body)
	}
	a.mu.Lock()
	a.seen = append(a.seen, s)
	a.mu.Unlock()
	resp := a.answer(req)
	resp.Request = req
	return resp, nil
}

func (a *api) all() []seen {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.seen
}

func answerOf(code int, location ...string) *http.Response {
	resp := &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(""))}
	for _, where := range location {
		resp.Header.Set("Location", where)
	}
	return resp
}

// newAPI is newRig with an API of acme's at api.acme.example, which knows the tokens that
// the provider has issued and not taken back.
func newAPI(t *testing.T) (*rig, *api) {
	t.Helper()
	s := vaulttest.New(t, vaulttest.Config{TokenLifetime: time.Hour})
	a := &api{answer: func(req *http.Request) *http.Response {
		if _, token, _ := strings.Cut(req.Header.Get("Authorization"), " "); !s.Sandbox.Valid(token) {
			return answerOf(http.StatusUnauthorized)
		}
		return answerOf(http.StatusOK)
	}}
	r := rigOn(t, s, client.WithToken(s.Token.Reveal()), client.WithHTTPTransport(a))
	r.connect("alice", "acme")
	return r, a
}

const acmeAPI = "https://api.acme.example/things"

func (r *rig) acme() *http.Client {
	return r.c.HTTPClient("alice", "acme", client.WithAPIHosts("API.acme.example"))
}

func do(t *testing.T, c *http.Client, method, url string, body io.Reader) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func TestPathsAreBelowTheAPIOfTheAccount(t *testing.T) {
	r := newRig(t, vaulttest.Config{})
	r.connect("alice", "mailchimp")
	mailchimp := r.c.HTTPClient("alice", "mailchimp")
	creds, err := r.c.Credentials(t.Context(), "alice", "mailchimp")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/ping": "Everything's Chimpy!", "ping": "Everything's Chimpy!", "/lists?count=1": `"total_items"`, creds.APIBaseURL + "/ping": "Everything's Chimpy!",
	} {
		resp := do(t, mailchimp, http.MethodGet, path, nil)
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d, %s, %v; want %s", path, resp.StatusCode, body, err, want)
		}
		if !strings.HasPrefix(resp.Request.URL.String(), creds.APIBaseURL) || resp.Request.Header.Get("Authorization") != "" {
			t.Errorf("%s: the answer's request is one to %s, with Authorization: %v", path, resp.Request.URL, resp.Request.Header.Get("Authorization") != "")
		}
	}
}

// TestABaseURLMayHaveNoPath: a request line without the slash is answered with 400.
func TestABaseURLMayHaveNoPath(t *testing.T) {
	for _, tt := range []struct{ base, path, want string }{
		{"https://api.example.com", "/user", "api.example.com /user"},
		{"https://api.example.com", "user?page=2", "api.example.com /user?page=2"},
		{"https://api.example.com", "/", "api.example.com /"},
		{"https://api.example.com/", "/user", "api.example.com /user"},
		{"https://api.example.com/3.0", "/lists", "api.example.com /3.0/lists"},
		{"https://api.example.com/3.0/", "/files/a%2Fb", "api.example.com /3.0/files/a%2Fb"},
	} {
		got, err := client.RequestTarget(tt.base, tt.path)
		if err != nil || got != tt.want {
			t.Errorf("%s below %s: %q, %v, want %q", tt.path, tt.base, got, err, tt.want)
		}
	}
}

// TestAPathDoesNotLeaveTheBaseURL: behind another path of the same host may be another
// account, as with https://api.example.com/ex/{site}. Parts of paths are often what
// somebody else has written.
func TestAPathDoesNotLeaveTheBaseURL(t *testing.T) {
	const base = "https://api.example.com/ex/site1"
	for _, path := range []string{
		"/../site2/issues", "../site2", "..", "/issues/..", "/issues/../../site2", "/..%2fsite2", "/%2e%2e/site2", "/.%2E/site2",
		"/%2e%2e%2fsite2", `/..\site2`, "/..%5csite2", "/..;/site2", "/..;x=1/site2", "/%2e%2e%3b/site2",
	} {
		if got, err := client.RequestTarget(base, path); err == nil || !strings.Contains(err.Error(), `".."`) {
			t.Errorf("%s asks for %q, %v; want it refused", path, got, err)
		}
	}
	for path, want := range map[string]string{
		"/...": "/ex/site1/...", "/a..b/..c": "/ex/site1/a..b/..c", "/issues?jql=a/../b": "/ex/site1/issues?jql=a/../b", "/./issues": "/ex/site1/issues",
		"/group%2Fproject": "/ex/site1/group%2Fproject",
	} {
		if got, err := client.RequestTarget(base, path); err != nil || got != "api.example.com "+want {
			t.Errorf("%s asks for %q, %v; want %s", path, got, err, want)
		}
	}
}

func TestCredentialsGoNowhereElse(t *testing.T) {
	a := &api{answer: func(*http.Request) *http.Response { return answerOf(http.StatusOK) }}
	s := vaulttest.New(t, vaulttest.Config{})
	r := rigOn(t, s, client.WithToken(s.Token.Reveal()), client.WithHTTPTransport(a))
	r.connect("alice", "mailchimp")
	r.connect("alice", "acme")
	port := s.SandboxURL[strings.LastIndex(s.SandboxURL, ":"):]
	for _, row := range []struct {
		name, provider, url, refusal string
		options                      []client.RequestOption
	}{
		{"the API", "mailchimp", s.SandboxURL + "/mailchimp/x", "", nil},
		{"another host", "mailchimp", "https://evil.example/3.0", "are for http://127.0.0.1", nil},
		{"another name of it", "mailchimp", "http://localhost" + port + "/x", "are for http://127.0.0.1", nil},
		{"another port", "mailchimp", "http://127.0.0.1:1/x", "are for http://127.0.0.1", nil},
		{"another scheme", "mailchimp", "https://127.0.0.1" + port + "/x", "are for http://127.0.0.1", nil},
		{"a host without a scheme", "mailchimp", "//evil.example/x", "are for http://127.0.0.1", nil},
		{"a host that it looks like", "mailchimp", "http://127.0.0.1" + port + "@evil.example/x", "are for http://127.0.0.1", nil},
		{"a host that is named", "acme", "https://api.acme.example/x", "", []client.RequestOption{client.WithAPIHosts("api.acme.example")}},
		{"a host that is named, in plaintext", "acme", "http://api.acme.example/x", "WithAPIHosts", []client.RequestOption{client.WithAPIHosts("api.acme.example")}},
		{"a subdomain of one that is named", "acme", "https://x.api.acme.example/x", "WithAPIHosts", []client.RequestOption{client.WithAPIHosts("api.acme.example")}},
		{"no API that is known", "acme", "https://api.acme.example/x", "does not know where the API", nil},
		{"a path, and no API that is known", "acme", "/x", "knows no API base URL", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := len(a.all())
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, row.url, io.NopCloser(strings.NewReader("x")))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := r.c.HTTPClient("alice", row.provider, row.options...).Do(req)
			sent := a.all()[before:]
			if row.refusal != "" {
				if err == nil || len(sent) != 0 {
					t.Fatalf("error = %v with %d requests sent, want a refusal", err, len(sent))
				}
				wantText(t, err.Error(), row.refusal)
				return
			}
			if err != nil || resp.Body.Close() != nil || len(sent) != 1 || sent[0].authorization == "" {
				t.Errorf("error = %v, want a request with credentials", err)
			}
		})
	}
}

func TestARedirectTakesNoCredentialsElsewhere(t *testing.T) {
	for _, row := range []struct {
		name, from, to, want string
		with                 bool // credentials
	}{
		{"within the API", "/a/b", "/mailchimp/us6/3.0/c", "{api}/mailchimp/us6/3.0/c", true},
		{"beside it", "/a/b", "c", "{api}/mailchimp/us6/3.0/a/c", true},
		{"from the whole URL", "{api}/mailchimp/us6/3.0/a/b", "c", "{api}/mailchimp/us6/3.0/a/c", true},
		{"to another host", "/a", "https://files.example/signed", "https://files.example/signed", false},
		{"to another port", "/a", "http://127.0.0.1:1/x", "http://127.0.0.1:1/x", false},
		{"to a host without a scheme", "/a", "//files.example/x", "http://files.example/x", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := &api{}
			s := vaulttest.New(t, vaulttest.Config{})
			fill := func(text string) string { return strings.ReplaceAll(text, "{api}", s.SandboxURL) }
			a.answer = func(req *http.Request) *http.Response {
				if len(a.all()) == 1 {
					return answerOf(http.StatusTemporaryRedirect, row.to)
				}
				return answerOf(http.StatusOK)
			}
			r := rigOn(t, s, client.WithToken(s.Token.Reveal()), client.WithHTTPTransport(a))
			r.connect("alice", "mailchimp")
			do(t, r.c.HTTPClient("alice", "mailchimp"), http.MethodPost, fill(row.from), strings.NewReader("body"))
			all := a.all()
			if len(all) != 2 || all[0].authorization == "" || all[1].url != fill(row.want) || all[1].body != "body" || (all[1].authorization != "") != row.with {
				t.Errorf("the redirect leads to %s with credentials: %v; want %s, %v", all[len(all)-1].url, all[len(all)-1].authorization != "", fill(row.want), row.with)
			}
		})
	}
}

// spoil has the provider take back a token that the client has, without the vault's
// knowing.
func (r *rig) spoil() {
	r.t.Helper()
	creds, err := r.c.Credentials(r.t.Context(), "alice", "acme")
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := http.PostForm(r.SandboxURL+"/oauth/revoke", map[string][]string{
		"token": {creds.AccessToken.Reveal()}, "client_id": {vaulttest.ClientID}, "client_secret": {r.Secrets()["client secret"]},
	})
	if err != nil || resp.StatusCode != http.StatusOK || resp.Body.Close() != nil || r.Sandbox.Valid(creds.AccessToken.Reveal()) {
		r.t.Fatalf("the token is not revoked: %v", err)
	}
}

func TestARefusedTokenIsReplacedOnce(t *testing.T) {
	for _, row := range []struct {
		name   string
		body   func() io.Reader
		status int
		sent   []string // bodies
	}{
		{"no body", func() io.Reader { return nil }, 200, []string{"", ""}},
		{"a body that can be sent again", func() io.Reader { return strings.NewReader("x") }, 200, []string{"x", "x"}},
		{"one that cannot", func() io.Reader { return io.NopCloser(strings.NewReader("x")) }, 401, []string{"x"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			r, a := newAPI(t)
			r.spoil()
			resp := do(t, r.acme(), http.MethodPost, acmeAPI, row.body())
			var bodies []string
			for _, s := range a.all() {
				bodies = append(bodies, s.body)
			}
			if resp.StatusCode != row.status || strings.Join(bodies, ",") != strings.Join(row.sent, ",") {
				t.Errorf("status = %d after %q; want %d after %q", resp.StatusCode, bodies, row.status, row.sent)
			}
		})
	}
}

func TestATokenThatIsRefusedAgainAndAgainIsLeftAlone(t *testing.T) {
	r, a := newAPI(t)
	a.answer = func(*http.Request) *http.Response { return answerOf(http.StatusUnauthorized) }
	for range 5 {
		if resp := do(t, r.acme(), http.MethodGet, acmeAPI, nil); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("status = %d, want that of the API", resp.StatusCode)
		}
	}
	if n := r.rpcs.of("RefreshConnection"); n != 1 {
		t.Errorf("%d refreshes within a minute, want 1", n)
	}
	if n := len(a.all()); n != 6 {
		t.Errorf("%d requests for 5, want one more", n)
	}
	r.Clock.Advance(61 * time.Second)
	do(t, r.acme(), http.MethodGet, acmeAPI, nil)
	if n := r.rpcs.of("RefreshConnection"); n != 2 {
		t.Errorf("%d refreshes a minute later, want 2", n)
	}
}

func TestManyWhoseTokenIsRefusedShareOneRefresh(t *testing.T) {
	r, _ := newAPI(t)
	r.spoil()
	var calling sync.WaitGroup
	for range 50 {
		calling.Go(func() {
			if resp := do(t, r.acme(), http.MethodGet, acmeAPI, nil); resp.StatusCode != http.StatusOK {
				t.Errorf("status = %d", resp.StatusCode)
			}
		})
	}
	calling.Wait()
	if n := r.rpcs.of("RefreshConnection"); n != 1 {
		t.Errorf("%d refreshes, want 1", n)
	}
}

// TestATokenThatSomebodyElseHasReplacedIsReadAnew is about a caller that may neither watch
// nor refresh.
func TestATokenThatSomebodyElseHasReplacedIsReadAnew(t *testing.T) {
	token := access.GenerateToken()
	s := vaulttest.New(t, vaulttest.Config{TokenLifetime: time.Hour, Rules: []access.Rule{rule(access.Rule{Tokens: access.HashTokens(token)}, "GetCredentials")}})
	a := &api{answer: func(req *http.Request) *http.Response {
		if _, token, _ := strings.Cut(req.Header.Get("Authorization"), " "); !s.Sandbox.Valid(token) {
			return answerOf(http.StatusUnauthorized)
		}
		return answerOf(http.StatusOK)
	}}
	r := rigOn(t, s, client.WithToken(token.Reveal()), client.WithHTTPTransport(a))
	r.connect("alice", "acme")
	r.spoil()
	if resp := do(t, r.acme(), http.MethodGet, acmeAPI, nil); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("status = %d while there is no other token, want the API's", resp.StatusCode)
	}
	if err := r.refresh("alice"); err != nil {
		t.Fatal(err)
	}
	if resp := do(t, r.acme(), http.MethodGet, acmeAPI, nil); resp.StatusCode != http.StatusOK {
		t.Errorf("status = %d at once, want that with the new token", resp.StatusCode)
	}
	r.Clock.Advance(61 * time.Second)
	r.spoil()
	if err := r.refresh("alice"); err != nil {
		t.Fatal(err)
	}
	if resp := do(t, r.acme(), http.MethodGet, acmeAPI, nil); resp.StatusCode != http.StatusOK {
		t.Errorf("status = %d later, want that with the new token", resp.StatusCode)
	}
}

func TestWhoIsNotConnectedGetsALinkFromTheHTTPClient(t *testing.T) {
	r := newRig(t, vaulttest.Config{})
	resp, err := r.c.HTTPClient("alice", "mailchimp").Get("/lists")
	if err == nil {
		t.Fatal(resp.Body.Close())
	}
	missing, ok := errors.AsType[*client.ConnectRequired](err)
	if !ok {
		t.Fatalf("error = %v, want a *client.ConnectRequired", err)
	}
	link, err := missing.URL(t.Context())
	if err != nil || !strings.HasPrefix(link, r.GatewayURL+"/oauth/mailchimp/") {
		t.Errorf("link = %q, %v", link, err)
	}
}
