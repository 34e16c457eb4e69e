package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

func writePair(t *testing.T, a *vaulttest.Authority) (certificate, key string) {
	t.Helper()
	dir := t.TempDir()
	certificate, key = filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")
	c, k := vaulttest.PEM(t, a.Server(t, vaulttest.ServerCert{}))
	for name, data := range map[string][]byte{certificate: c, key: k} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

func TestNobodyIsLetInWithoutATokenThatWillDo(t *testing.T) {
	s := newSite(t, "--required-scope", "mailchimp")
	stranger := vaulttest.NewIssuer(t, nil)
	claims := func(pairs ...any) map[string]any {
		all := map[string]any{"aud": s.endpoint, "sub": "alice", "scope": "openid mailchimp"}
		for i := 0; i < len(pairs); i += 2 {
			all[pairs[i].(string)] = pairs[i+1]
		}
		return all
	}
	good := s.issuer.Token(claims())
	metadata := `resource_metadata="` + strings.Replace(s.endpoint, mcpPath, metadataPath+mcpPath, 1) + `"`
	for _, row := range []struct {
		name   string
		token  secret.String
		status int
		says   string // WWW-Authenticate has it
	}{
		{"as it should be", good, http.StatusOK, ""},
		{"none", secret.String{}, http.StatusUnauthorized, "Bearer " + metadata},
		{"no JWT", secret.New("tv_opaque"), http.StatusUnauthorized, `error="invalid_token"`},
		{"forged", secret.New(good.Reveal()[:len(good.Reveal())-8] + "AAAAAAAA"), http.StatusUnauthorized, `error="invalid_token"`},
		{"of another issuer", stranger.Token(claims()), http.StatusUnauthorized, `error="invalid_token"`},
		{"of another issuer in its name", stranger.Token(claims("iss", s.issuer.URL)), http.StatusUnauthorized, `error="invalid_token"`},
		{"for another audience", s.issuer.Token(claims("aud", "https://other.example.com/mcp")), http.StatusUnauthorized, `error="invalid_token"`},
		{"for no audience", s.issuer.Token(claims("aud", nil)), http.StatusUnauthorized, `error="invalid_token"`},
		{"that has ended", s.issuer.Token(claims("exp", time.Now().Add(-time.Minute).Unix())), http.StatusUnauthorized, `error="invalid_token"`},
		{"of nobody", s.issuer.Token(claims("sub", nil)), http.StatusUnauthorized, `error="invalid_token"`},
		{"without the scope", s.issuer.Token(claims("scope", "openid")), http.StatusForbidden, `error="insufficient_scope"`},
		{"the vault's own", s.stack.Token, http.StatusUnauthorized, `error="invalid_token"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			resp := post(t, s.endpoint, row.token, initialize)
			says := resp.Header.Get("WWW-Authenticate")
			if resp.StatusCode != row.status || !strings.Contains(says, row.says) {
				t.Errorf("status = %d, WWW-Authenticate = %s; want %d, with %s", resp.StatusCode, says, row.status, row.says)
			}
			if row.status != http.StatusOK && (!strings.HasPrefix(says, "Bearer ") || !strings.Contains(says, metadata) || !strings.Contains(says, `scope="mailchimp"`)) {
				t.Errorf("WWW-Authenticate = %s; want Bearer with %s and the scope", says, metadata)
			}
			if text := body(t, resp); !row.token.IsZero() && strings.Contains(text, row.token.Reveal()) {
				t.Errorf("the answer repeats the token: %s", text)
			}
			if !row.token.IsZero() && strings.Contains(s.log.String(), row.token.Reveal()) {
				t.Error("the log has the token in it")
			}
		})
	}
}

func TestClientsFindWhereToSignIn(t *testing.T) {
	s := newSite(t, "--required-scope", "mailchimp")
	for _, path := range []string{metadataPath + mcpPath, metadataPath} {
		resp := request(t, http.MethodGet, strings.TrimSuffix(s.endpoint, mcpPath)+path, secret.String{}, "")
		var got map[string]any
		if err := json.Unmarshal([]byte(body(t, resp)), &got); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		want := map[string]any{
			"resource": s.endpoint, "resource_name": "Mailchimp", "authorization_servers": []any{s.issuer.URL},
			"scopes_supported": []any{"mailchimp"}, "bearer_methods_supported": []any{"header"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

func TestAnIssuerThatCannotBeAskedIsNoReasonToSignInAgain(t *testing.T) {
	s := newSite(t)
	s.issuer.Answer(http.StatusServiceUnavailable)
	if resp := post(t, s.endpoint, s.token("alice"), initialize); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("status = %d, Retry-After = %q; want 503 and a time", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	s.log.await(t, "see that the issuer can be reached")
}

// TestTheOperatorIsToldWhereNoLinkCanBeMade has a vault that wants browsers to come back
// to a program.
func TestTheOperatorIsToldWhereNoLinkCanBeMade(t *testing.T) {
	stack, token := vaulttest.New(t, vaulttest.Config{Binding: vault.BindingConfirm}), access.GenerateToken()
	issuer := vaulttest.NewIssuer(t, nil)
	for _, row := range []struct {
		name string
		args []string
		want string
	}{
		{"for many people", []string{"--issuer", issuer.URL}, "set binding: login at the vault, .* or name with --return-url"},
		{"with a page that the vault does not know", []string{"--issuer", issuer.URL, "--return-url", "https://app.example.com/done"}, "add what --return-url says to the vault's return_urls"},
		{"on this machine", []string{"--subject", "alice", "--bearer-token", "env:MCP_TOKEN"}, `add ..http://127.0.0.1/\*.. to the vault's return_urls`},
	} {
		t.Run(row.name, func(t *testing.T) {
			p, endpoint := startHTTP(t, vaultEnv(stack, "MCP_TOKEN="+token.Reveal()), row.args...)
			shown := token
			if row.args[0] == "--issuer" {
				shown = issuer.Token(map[string]any{"aud": endpoint, "sub": "alice"})
			}
			session := newPerson(t, stack, vaulttest.Ada).connect("2026-07-28", withToken(endpoint, shown))
			result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "get_account", Arguments: map[string]any{}})
			if err != nil || !result.IsError {
				t.Errorf("the call is answered with %v, %v; want an error for the model", result, err)
			}
			p.log.await(t, row.want)
			if log := p.log.String(); strings.Contains(log, "OnThisMachine") || strings.Contains(log, "Connect.ReturnURL") {
				t.Errorf("the log speaks of Go:\n%s", log)
			}
		})
	}
}

func TestAnIssuerThatCannotBeAskedIsWarnedOfAtOnce(t *testing.T) {
	stack, issuer := vaulttest.New(t, vaulttest.Config{}), vaulttest.NewIssuer(t, nil)
	issuer.Answer(http.StatusServiceUnavailable)
	p, endpoint := startHTTP(t, vaultEnv(stack), "--issuer", issuer.URL)
	p.log.await(t, "level=WARN msg=.nobody can sign in at the moment.*see that --issuer .*"+issuer.URL)
	issuer.Answer(0)
	token := issuer.Token(map[string]any{"aud": endpoint, "sub": "alice"})
	if resp := post(t, endpoint, token, initialize); resp.StatusCode != http.StatusOK {
		t.Errorf("when the issuer is there, a token of its is answered with %d, want 200", resp.StatusCode)
	}
}

func TestTheLogSaysWhichAudienceIsWanted(t *testing.T) {
	s := newSite(t)
	post(t, s.endpoint, s.issuer.Token(map[string]any{"aud": "https://other.example.com/mcp", "sub": "alice"}), initialize)
	s.log.await(t, `access token refused.*other.example.com/mcp.*wanted is .*`+s.endpoint)
}

func TestAnotherAudienceAndClaimWillDo(t *testing.T) {
	s := newSite(t, "--audience", "mailchimp-tools", "--subject-claim", "email")
	alice := newPerson(t, s.stack, vaulttest.Ada)
	token := s.issuer.Token(map[string]any{"aud": "mailchimp-tools", "sub": "1", "email": "alice@example.com", "email_verified": true})
	wantAccount(t, alice.connect("2026-07-28", withToken(s.endpoint, token)), vaulttest.Ada)
	secretsOf(t, s.stack, "alice@example.com") // fails where the connection is somebody else's
	if resp := post(t, s.endpoint, s.token("alice"), initialize); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a token for the endpoint's own URL is answered with %d, want 401", resp.StatusCode)
	}
}

func TestOnePersonWithATokenOfTheirOwn(t *testing.T) {
	stack, token := vaulttest.New(t, vaulttest.Config{}), access.GenerateToken()
	p, endpoint := startHTTP(t, vaultEnv(stack, "MCP_TOKEN="+token.Reveal()), "--subject", "alice", "--bearer-token", "env:MCP_TOKEN")
	for _, revision := range revisions() {
		wantAccount(t, newPerson(t, stack, vaulttest.Ada).connect(revision, withToken(endpoint, token)), vaulttest.Ada)
	}
	for name, other := range map[string]secret.String{"none": {}, "another": access.GenerateToken(), "a part of it": secret.New(token.Reveal()[:20]), "the vault's": stack.Token} {
		resp := post(t, endpoint, other, initialize)
		if says := resp.Header.Get("WWW-Authenticate"); resp.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(says, "Bearer") || strings.Contains(says, "resource_metadata") {
			t.Errorf("%s is answered with %d, WWW-Authenticate = %s", name, resp.StatusCode, says)
		}
	}
	secrets := secretsOf(t, stack, "alice")
	secrets["token of MCP"] = token.Reveal()
	wantSilent(t, p.log.String(), secrets)
}

func TestOneAccountWithATokenOfTheirOwn(t *testing.T) {
	s, token := vaulttest.New(t, vaulttest.Config{}), access.GenerateToken()
	p, endpoint := startHTTP(t, keyEnv(s, "MCP_TOKEN="+token.Reveal()), "--bearer-token", "env:MCP_TOKEN")
	wantAccount(t, newPerson(t, s, vaulttest.Grace).connect("2026-07-28", withToken(endpoint, token)), vaulttest.Ada)
	if resp := post(t, endpoint, secret.String{}, initialize); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("nobody is answered with %d, want 401", resp.StatusCode)
	}
	wantSilent(t, p.log.String(), map[string]string{"API key": sandbox.DefaultAPIKey(), "token of MCP": token.Reveal()})
}

// TestStrangersDoNotFillTheLog: whoever likes may send tokens that are none.
func TestStrangersDoNotFillTheLog(t *testing.T) {
	s := newSite(t)
	began := time.Now()
	for i := range 200 {
		token := secret.New(fmt.Sprintf("no.token.%d", i))
		if resp := post(t, s.endpoint, token, initialize); resp.StatusCode != http.StatusUnauthorized {
			t.Fatalf("status = %d, want 401", resp.StatusCode)
		}
	}
	most := firstLines + int(time.Since(began)/time.Second) + 1
	if n := strings.Count(s.log.String(), "access token refused"); n == 0 || n > most {
		t.Errorf("there are %d lines of it in the log, want a few and at most %d", n, most)
	}
}
