package vaulttest_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// villain is an authorization server that is honest until it is told not to be. Its
// trap is a host that nothing may ever be sent to.
type villain struct {
	*vaulttest.Stack
	URL, TrapURL string

	mu       sync.Mutex
	handlers map[string]http.HandlerFunc // by path
	tokens   atomic.Int64                // requests to the token endpoint
	trapped  atomic.Int64
}

// What the villain is sent, and issues: none of it may show up elsewhere.
const (
	villainCode    = "code-canary-7b31"
	villainAccess  = "access-canary-7b31"
	villainRefresh = "refresh-canary-7b31"
)

// newVillain starts a stack with the provider villain. change, if not nil, changes
// its definition.
func newVillain(t *testing.T, change func(v *villain, d *provider.Definition)) *villain {
	t.Helper()
	v := &villain{handlers: map[string]http.HandlerFunc{
		"/authorize": func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {villainCode}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
		},
		"/token":    says(fmt.Sprintf(`{"access_token":%q,"refresh_token":%q,"token_type":"Bearer","expires_in":3600}`, villainAccess, villainRefresh)),
		"/returned": says("{}"),
		"/me":       says(`{"id":"1","name":"Alice","email":"alice@example.com","dc":"us6"}`),
	}}
	web := httptest.NewServer(http.HandlerFunc(v.serve))
	t.Cleanup(web.Close)
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { v.trapped.Add(1) }))
	t.Cleanup(trap.Close)
	v.URL, v.TrapURL = web.URL, trap.URL
	d := provider.Definition{
		DisplayName: "Villain", AuthorizeURL: v.URL + "/authorize", TokenURL: v.URL + "/token", RevokeURL: v.URL + "/revoke", ClientAuth: provider.ClientAuthPost,
		AfterConnect: &provider.AfterConnect{URL: v.URL + "/me", Capture: map[string]provider.Capture{"dc": {Pointer: "/dc", Pattern: "^[a-z]+[0-9]+$", Required: true}}},
		Account:      provider.AccountPointers{ID: "/id", Name: "/name", Email: "/email"}, APIBaseURL: "https://{dc}.api.example.com/3.0",
		APIKey:              &provider.APIKey{Pattern: `^[0-9a-f]{32}-(?P<dc>[a-z]+[0-9]+)$`},
		AllowPrivateNetwork: true,
	}
	if change != nil {
		change(v, &d)
	}
	v.Stack = vaulttest.New(t, vaulttest.Config{
		Definitions: map[string]provider.Definition{"villain": d}, Audit: true, ReturnURLs: []string{v.URL + "/returned"},
	})
	return v
}

func says(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}
}

func (v *villain) serve(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	handler := v.handlers[r.URL.Path]
	v.mu.Unlock()
	if r.URL.Path == "/token" {
		v.tokens.Add(1)
	}
	if handler == nil {
		handler = http.NotFound
	}
	handler(w, r)
}

// turn changes what the villain does at a path.
func (v *villain) turn(path string, handler http.HandlerFunc) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.handlers[path] = handler
}

// connect takes alice through a flow, and returns where it ends.
func (v *villain) connect(t *testing.T) (int, string) {
	t.Helper()
	resp, err := v.Client.Connect(t.Context(), &tokenvaultv1.ConnectRequest{Subject: "alice", Provider: "villain"})
	if err != nil {
		t.Fatal(err)
	}
	return open(t, v.Stack, v.NewBrowser(), resp.GetConnectUrl())
}

// unharmed fails if alice's connection gives anything else than before, or the trap
// was sent anything, or a secret is in the log.
func (v *villain) unharmed(t *testing.T, before *tokenvaultv1.GetCredentialsResponse) {
	t.Helper()
	after, err := v.Client.GetCredentials(t.Context(), &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "villain"})
	if err != nil {
		t.Errorf("the connection that worked does not work any more: %v", err)
	} else if diff := cmp.Diff(before, after, protocmp.Transform(), protocmp.IgnoreFields(&tokenvaultv1.GetCredentialsResponse{}, "generation")); diff != "" {
		t.Errorf("the connection that worked has changed (-before +after):\n%s", diff)
	}
	v.nothingLeaked(t)
}

func (v *villain) nothingLeaked(t *testing.T) {
	t.Helper()
	if n := v.trapped.Load(); n != 0 {
		t.Errorf("the trap was sent %d requests", n)
	}
	if strings.Contains(v.Log.String(), "canary-7b31") {
		t.Errorf("a secret is in the log:\n%s", v.Log)
	}
}

// redirects are answers that lead elsewhere, with every status and spelling.
func (v *villain) redirects() map[string]http.HandlerFunc {
	all := map[string]http.HandlerFunc{}
	targets := map[string]string{
		"the trap": v.TrapURL + "/x", "the trap without a scheme": strings.TrimPrefix(v.TrapURL, "http:") + "/x",
		"the trap as localhost": strings.Replace(v.TrapURL, "127.0.0.1", "localhost", 1), "a user name": strings.Replace(v.TrapURL, "//", "//"+strings.TrimPrefix(v.URL, "http://")+"@", 1),
		"link-local": "http://169.254.169.254/latest/meta-data", "another scheme": "https" + strings.TrimPrefix(v.URL, "http"), "a file": "file:///etc/passwd",
	}
	for _, status := range []int{301, 302, 303, 307, 308} {
		for name, target := range targets {
			all[fmt.Sprintf("%d to %s", status, name)] = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", target)
				w.WriteHeader(status)
			}
		}
	}
	return all
}

// bodies are answers of a size or form that no answer has.
func bodies() map[string]http.HandlerFunc {
	endless := func(w io.Writer, begin, more string) {
		_, err := io.WriteString(w, begin)
		for more = strings.Repeat(more, 4096); err == nil; { // until the vault hangs up
			_, err = io.WriteString(w, more)
		}
	}
	return map[string]http.HandlerFunc{
		"an endless body":  func(w http.ResponseWriter, _ *http.Request) { endless(w, "", " ") },
		"endless brackets": func(w http.ResponseWriter, _ *http.Request) { endless(w, "", "[") },
		"an endless text":  func(w http.ResponseWriter, _ *http.Request) { endless(w, `{"access_token":"`, "x") },
		"a gzip bomb": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			endless(gzip.NewWriter(w), "", "0")
		},
		"endless headers": func(w http.ResponseWriter, _ *http.Request) {
			for i := range 10_000 {
				w.Header().Set(fmt.Sprintf("X-%d", i), "0123456789abcdef")
			}
		},
		"a bomb that does not go off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, "no gzip")
		},
		"HTML":          says("<html><script>alert('code-canary-7b31')</script>"),
		"nothing":       says(""),
		"an empty list": says("[]"), "a list": says(`[{"access_token":"x","id":"1","dc":"us6"}]`), "null": says("null"), "a number": says("1"),
		"not UTF-8": says("{\"access_token\":\"\xff\xfe\",\"id\":\"\xff\"}"),
		"an early end": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"access_token`)
		},
		"no answer": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"an error that tells everything": func(w http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm()
			w.WriteHeader(http.StatusBadGateway)
			_ = json.NewEncoder(w).Encode(map[string]any{"error": "server_error canary-7b31", "error_description": r.Form, "error_uri": r.Header})
		},
	}
}

// tokens are answers with a token that cannot be one, or would break a header.
func tokens() map[string]http.HandlerFunc {
	all := map[string]http.HandlerFunc{}
	for name, token := range map[string]any{
		"a line break": "x\r\nX-Evil: 1", "a line feed": "x\nx", "a null": "x\x00", "an escape": "x\x1b[2J", "a space": "x y", "a tab": "x\ty", "not ASCII": "xé", "a wide letter": "ｘ",
		"17 KiB": strings.Repeat("x", 17<<10), "a number": 1, "a list": []string{"x"}, "an object": map[string]string{"x": "y"}, "empty": "", "null": nil,
	} {
		body, _ := json.Marshal(map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 3600}) // of texts and numbers
		all["an access token with "+name] = says(string(body))
		if text, ok := token.(string); ok && text != "" {
			body, _ = json.Marshal(map[string]any{"access_token": "x", "refresh_token": token, "expires_in": 3600})
			all["a refresh token with "+name] = says(string(body))
		}
	}
	return all
}

// turnsBad has the villain be honest once more, and then answer at a path in each of
// those ways. attack is tried with each; alice's connection has to come out of it as it
// was, and the answer must have been given.
func (v *villain) turnsBad(t *testing.T, path string, ways map[string]http.HandlerFunc, attack func(t *testing.T)) {
	v.mu.Lock()
	honest := v.handlers[path]
	v.mu.Unlock()
	defer v.turn(path, honest)
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			v.turn(path, honest)
			v.Clock.Advance(10 * time.Minute) // the vault may have had enough of it for a while
			if code, page := v.connect(t); code != http.StatusOK {
				t.Fatalf("the honest flow ended at %d:\n%s", code, page)
			}
			before := credentials(t, v.Stack, "alice", "villain")
			var asked atomic.Bool
			v.turn(path, func(w http.ResponseWriter, r *http.Request) {
				asked.Store(true)
				way(w, r)
			})
			attack(t)
			v.unharmed(t, before)
			if !asked.Load() {
				t.Error("the villain was not asked: this test shows nothing")
			}
		})
	}
}

func TestATokenEndpointThatTurnsBadHarmsNothing(t *testing.T) {
	t.Parallel()
	v := newVillain(t, nil)
	for _, ways := range []map[string]http.HandlerFunc{v.redirects(), bodies(), tokens()} {
		v.turnsBad(t, "/token", ways, func(t *testing.T) {
			if code, page := v.connect(t); code < 400 || strings.Contains(page, "canary-7b31") {
				t.Errorf("the flow ended at %d:\n%s", code, page)
			}
		})
		v.turnsBad(t, "/token", ways, func(t *testing.T) {
			_, err := v.Client.RefreshConnection(t.Context(), &tokenvaultv1.RefreshConnectionRequest{Subject: "alice", Provider: "villain"})
			wantError(t, err, codes.Unavailable, "PROVIDER_UNAVAILABLE")
			if err != nil && strings.Contains(err.Error(), "canary-7b31") {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}

// accounts are look-ups that must not be believed.
func accounts() map[string]http.HandlerFunc {
	all := map[string]http.HandlerFunc{}
	for name, dc := range hostParts() {
		body, _ := json.Marshal(map[string]any{"id": "1", "name": "Alice", "dc": dc})
		all["the data centre "+name] = says(string(body))
	}
	for name, id := range map[string]any{
		"with a line break": "1\r\nX-Evil: 1", "with a null": "1\x00", "with an escape": "1\x1b[2J", "that is a list": []int{1}, "that is null": nil,
		"of 2 KiB": strings.Repeat("1", 2<<10), "of another account": "2",
	} {
		body, _ := json.Marshal(map[string]any{"id": id, "name": "Alice", "dc": "us6"})
		all["an id "+name] = says(string(body))
	}
	return all
}

// hostParts are data centres that would make another host of an API's.
func hostParts() map[string]string {
	all := map[string]string{}
	for _, crafted := range []string{
		"us6.evil.example/", "us6.evil.example", "us6/", "us6@evil.example", "us6:1@evil.example", "us6#", "us6?", "us6\\", "us6:443", "us6%2f", "us6%00", "us6\n", "us6\r\n", "\nus6", "us6\x00",
		"us6 ", " us6", "us6\t", "US6", "Us6", "us６", "uѕ6", "us6\u200b", "us6\u2024evil", "us6。evil", "us6\u0307", "", "6", "us", "us-6", "us6-", "../us6", "[::1]", "us6\u2028",
	} {
		all[fmt.Sprintf("%+q", crafted)] = crafted
	}
	return all
}

func TestALookUpThatTurnsBadHarmsNothing(t *testing.T) {
	t.Parallel()
	v := newVillain(t, nil)
	for _, ways := range []map[string]http.HandlerFunc{v.redirects(), bodies(), accounts()} {
		v.turnsBad(t, "/me", ways, func(t *testing.T) {
			if _, page := v.connect(t); strings.Contains(page, "canary-7b31") {
				t.Errorf("the page tells a secret:\n%s", page)
			}
		})
	}
}

func TestACraftedDataCenterOfAKeyIsRefused(t *testing.T) {
	v := newVillain(t, nil)
	for name, crafted := range hostParts() {
		for _, p := range []string{"villain", "mailchimp"} {
			_, err := v.Client.SetAPIKey(t.Context(), &tokenvaultv1.SetAPIKeyRequest{Subject: "alice", Provider: p, ApiKey: "0123456789abcdef0123456789abcdef-" + crafted})
			if wantError(t, err, codes.InvalidArgument, "INVALID_API_KEY"); err == nil {
				t.Errorf("%s: %s was taken", p, name)
			}
		}
	}
}

func TestNamesOfAnAccountStayText(t *testing.T) {
	for _, name := range []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `{{.}}`, `javascript:alert(1)`, "'; DROP TABLE accounts; --", "=cmd|' /C calc'!A0"} {
		v := newVillain(t, nil)
		body, err := json.Marshal(map[string]string{"id": "1", "name": name, "email": name, "dc": "us6"})
		if err != nil {
			t.Fatal(err)
		}
		v.turn("/me", says(string(body)))
		code, page := v.connect(t)
		if code != http.StatusOK || !strings.Contains(html.UnescapeString(page), name) && !strings.Contains(html.UnescapeString(page), strings.ReplaceAll(name, `"`, `\"`)) {
			t.Errorf("%s: the page does not name the account:\n%s", name, page)
		}
		if strings.ContainsAny(name, "<") && (strings.Contains(page, "<script") || strings.Contains(page, "<img src=x")) {
			t.Errorf("%s: the page has the name as HTML:\n%s", name, page)
		}
		if got := credentials(t, v.Stack, "alice", "villain").GetAccount(); got.GetName() != name || got.GetEmail() != name {
			t.Errorf("the account is %v, want %s as it is", got, name)
		}
	}
}

func TestATokenTypeCannotWriteAHeader(t *testing.T) {
	for name, kind := range map[string]any{
		"a line break": "Bearer\r\nX-Evil: 1", "a space": "Basic x", "a colon": "x: y", "a quote": `x"`, "long": strings.Repeat("x", 1000), "a number": 7, "a list": []string{"x"}, "not ASCII": "Bеarer", "null": nil,
	} {
		t.Run(name, func(t *testing.T) {
			v := newVillain(t, nil)
			body, err := json.Marshal(map[string]any{"access_token": villainAccess, "token_type": kind})
			if err != nil {
				t.Fatal(err)
			}
			v.turn("/token", says(string(body)))
			v.connect(t)
			if got, want := credentials(t, v.Stack, "alice", "villain").GetHeaders(), map[string]string{"Authorization": "Bearer " + villainAccess}; !cmp.Equal(got, want) {
				t.Errorf("headers = %q, want %q", got, want)
			}
		})
	}
}

// TestOfTwoAnswersTheFirstCounts is for a body that holds another answer behind the
// first, where two readers might see two things.
func TestOfTwoAnswersTheFirstCounts(t *testing.T) {
	v := newVillain(t, nil)
	v.turn("/token", says(`{"access_token":"first","expires_in":3600}{"access_token":"second","refresh_token":"x"}`))
	v.connect(t)
	if got := credentials(t, v.Stack, "alice", "villain").GetOauth2().GetAccessToken(); got != "first" {
		t.Errorf("the token is %q", got)
	}
}

func TestACodeGoesToNobodyButItsIssuer(t *testing.T) {
	t.Run("the villain sends the browser to acme", func(t *testing.T) {
		// The mix-up attack: the person chose the villain, and consents at acme.
		v := newVillain(t, nil)
		v.turn("/authorize", func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			q.Set("redirect_uri", v.GatewayURL+"/oauth/acme/callback")
			http.Redirect(w, r, v.SandboxURL+"/oauth/authorize?"+q.Encode(), http.StatusFound)
		})
		code, page := v.approve(t, "villain")
		if code < 400 || !strings.Contains(page, "did not come from the provider that was asked") {
			t.Errorf("the flow ended at %d:\n%s", code, page)
		}
		v.nobodyRedeemed(t)
	})
	t.Run("acme's answer is brought to the villain's callback", func(t *testing.T) {
		v := newVillain(t, func(v *villain, d *provider.Definition) { d.Issuer = v.URL })
		_, acmes := stopped(t, v.Stack, "alice", "acme")
		browser, villains := v.stopped(t)
		for name, stolen := range map[string]string{
			"with acme's state":       strings.Replace(acmes, "/oauth/acme/", "/oauth/villain/", 1),
			"with the villain's":      with(t, strings.Replace(acmes, "/oauth/acme/", "/oauth/villain/", 1), "state", stateOf(t, villains)),
			"with the villain's iss":  with(t, strings.Replace(acmes, "/oauth/acme/", "/oauth/villain/", 1), "iss", v.URL),
			"without iss, but a twin": strings.Replace(acmes, "/oauth/acme/", "/oauth/villain/", 1) + "&iss=" + url.QueryEscape(v.URL),
		} {
			if code, page := open(t, v.Stack, browser, stolen); code < 400 {
				t.Errorf("%s: the flow ended at %d:\n%s", name, code, page)
			}
		}
		v.nobodyRedeemed(t)
	})
	t.Run("a session of acme's is opened at the villain", func(t *testing.T) {
		v := newVillain(t, nil)
		resp, err := v.Client.Connect(t.Context(), &tokenvaultv1.ConnectRequest{Subject: "alice", Provider: "acme"})
		if err != nil {
			t.Fatal(err)
		}
		link := strings.Replace(resp.GetConnectUrl(), "/oauth/acme/", "/oauth/villain/", 1)
		if code, page := open(t, v.Stack, v.NewBrowser(), link); code < 400 {
			t.Errorf("the link led to %d:\n%s", code, page)
		}
		v.nobodyRedeemed(t)
	})
	t.Run("a code of the attacker's is put into the victim's flow", func(t *testing.T) {
		v := newVillain(t, nil)
		v.Connect("alice", "acme", vaulttest.Ada)
		before := credentials(t, v.Stack, "alice", "acme")
		_, attackers := stopped(t, v.Stack, "mallory", "acme")
		browser, victims := stopped(t, v.Stack, "alice", "acme")
		u, err := url.Parse(attackers)
		if err != nil {
			t.Fatal(err)
		}
		if code, page := open(t, v.Stack, browser, with(t, victims, "code", u.Query().Get("code"))); code != http.StatusBadRequest || !strings.Contains(page, "did not accept") {
			t.Errorf("the flow ended at %d, want that PKCE stops it:\n%s", code, page)
		}
		after := credentials(t, v.Stack, "alice", "acme")
		if diff := cmp.Diff(before, after, protocmp.Transform()); diff != "" {
			t.Errorf("the victim's connection has changed (-before +after):\n%s", diff)
		}
		_, err = v.Client.GetConnection(t.Context(), &tokenvaultv1.GetConnectionRequest{Subject: "mallory", Provider: "acme"})
		wantError(t, err, codes.NotFound, "NOT_CONNECTED")
	})
}

// approve takes alice through a flow at whatever consent page the link leads to.
func (v *villain) approve(t *testing.T, name string) (int, string) {
	t.Helper()
	resp, err := v.Client.Connect(t.Context(), &tokenvaultv1.ConnectRequest{Subject: "alice", Provider: name})
	if err != nil {
		t.Fatal(err)
	}
	page, err := sandbox.Person{Client: v.NewBrowser()}.Approve(t.Context(), resp.GetConnectUrl(), vaulttest.Ada)
	if err != nil {
		t.Fatal(err)
	}
	return page.StatusCode, v.Body(page)
}

// stopped takes a browser through the villain's flow, and stops it just before the
// callback.
func (v *villain) stopped(t *testing.T) (*http.Client, string) {
	t.Helper()
	resp, err := v.Client.Connect(t.Context(), &tokenvaultv1.ConnectRequest{Subject: "alice", Provider: "villain"})
	if err != nil {
		t.Fatal(err)
	}
	browser := v.NewBrowser()
	browser.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasSuffix(r.URL.Path, "/callback") {
			return http.ErrUseLastResponse
		}
		return nil
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, resp.GetConnectUrl(), nil)
	if err != nil {
		t.Fatal(err)
	}
	page, err := browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	v.Body(page)
	return browser, page.Header.Get("Location")
}

func (v *villain) nobodyRedeemed(t *testing.T) {
	t.Helper()
	if ours, theirs := v.Sandbox.Requests(sandbox.Token), v.tokens.Load(); ours != 0 || theirs != 0 {
		t.Errorf("%d codes were redeemed at acme and %d at the villain", ours, theirs)
	}
	v.nothingLeaked(t)
}

func TestIssIsHeldToThePromiseOfTheMetadata(t *testing.T) {
	for _, row := range []struct {
		name, iss string
		want      bool
	}{
		{"the issuer", "{url}", true}, {"none", "", false}, {"another", "https://evil.example", false}, {"acme's", "{acme}", false},
		{"a slash more", "{url}/", false}, {"upper case", "{URL}", false}, {"a letter more", "{url}0", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			v := newVillain(t, discovered)
			v.turn("/.well-known/openid-configuration", says(v.metadata(`"authorization_response_iss_parameter_supported":true`)))
			iss := strings.NewReplacer("{url}", v.URL, "{URL}", strings.ToUpper(v.URL), "{acme}", v.SandboxURL+"/oauth").Replace(row.iss)
			browser, callback := v.stopped(t)
			code, page := open(t, v.Stack, browser, with(t, callback, "iss", iss))
			if got := code == http.StatusOK && v.tokens.Load() == 1; got != row.want {
				t.Errorf("the flow ended at %d after %d token requests:\n%s", code, v.tokens.Load(), page)
			}
			if !row.want {
				v.nobodyRedeemed(t)
			}
		})
	}
}

// discovered leaves the villain's endpoints to its metadata.
func discovered(v *villain, d *provider.Definition) {
	d.Issuer, d.AuthorizeURL, d.TokenURL, d.RevokeURL, d.ClientAuth = v.URL, "", "", "", ""
}

// metadata is the villain's, with more in it; what comes later counts.
func (v *villain) metadata(more string) string {
	return fmt.Sprintf(`{"issuer":%[1]q,"authorization_endpoint":"%[1]s/authorize","token_endpoint":"%[1]s/token",%[2]s}`, v.URL, more)
}

func TestMetadataThatLeadsElsewhereLeadsNowhere(t *testing.T) {
	v := newVillain(t, discovered)
	for name, redirect := range v.redirects() {
		if !strings.HasPrefix(name, "307") && !strings.HasPrefix(name, "301") {
			continue // what differs with the status is what goes along, and nothing does
		}
		t.Run("discovery: "+name, func(t *testing.T) {
			v := newVillain(t, discovered)
			for _, place := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
				v.turn(place, redirect)
			}
			if code, page := v.connect(t); code < 400 {
				t.Errorf("the link led to %d:\n%s", code, page)
			}
			v.nobodyRedeemed(t)
		})
	}
	defer v.nothingLeaked(t) // whose trap the redirects lead to
	for name, more := range map[string]string{
		"another issuer": `"issuer":"https://evil.example"`, "a twin's issuer": fmt.Sprintf(`"issuer":%q`, v.TrapURL), "no token endpoint": `"token_endpoint":""`,
		"http elsewhere": `"token_endpoint":"http://evil.example/token"`, "a user name": fmt.Sprintf(`"token_endpoint":"http://x@%s/"`, strings.TrimPrefix(v.TrapURL, "http://")),
		"a scheme of its own": `"authorization_endpoint":"javascript:alert(1)"`, "data": `"authorization_endpoint":"data:text/html,x"`, "a file": `"token_endpoint":"file:///etc/passwd"`,
		"a fragment": `"token_endpoint":"https://evil.example/#x"`, "no URL": `"token_endpoint":"//evil.example/token"`, "a line break": `"authorization_endpoint":"https://evil.example/\r\nX-Evil: 1"`,
	} {
		t.Run(name, func(t *testing.T) {
			v := newVillain(t, discovered)
			v.turn("/.well-known/openid-configuration", says(v.metadata(more)))
			if code, page := v.connect(t); code < 400 {
				t.Errorf("the link led to %d:\n%s", code, page)
			}
			v.nobodyRedeemed(t)
		})
	}
}
