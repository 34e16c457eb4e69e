package main

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/cmd/tokenvault/internal/config"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/keyring"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/server"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// TestAVaultSignsPeopleInAsItsConfigurationSays goes through what serve wires: from
// the keys of the file to the pages of the gateway.
func TestAVaultSignsPeopleInAsItsConfigurationSays(t *testing.T) {
	addresses, err := freeAddresses(2)
	if err != nil {
		t.Fatal(err)
	}
	issuer := vaulttest.NewIssuer(t, nil)
	transport := acmeTransport(t, "http://"+addresses[1])
	token := serveSigningIn(t, issuer, addresses, transport)
	t.Setenv("TOKENVAULT_ADDR", addresses[0])
	t.Setenv("TOKENVAULT_TOKEN", token.Reveal())

	var link struct{ ConnectURL string }
	runJSON(t, &link, "connect", "--json", "alice", "acme")
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, Transport: transport}
	open := func(address string) (int, string) {
		resp, err := browser.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.Body.Close() != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	issuer.SignInAs("248289761001", map[string]any{"preferred_username": "bob"})
	if code, page := open(link.ConnectURL); code != http.StatusForbidden || !strings.Contains(page, "Sign in as somebody else") {
		t.Fatalf("bob's browser ended at %d:\n%s", code, page)
	}
	issuer.SignInAs("248289761002", map[string]any{"preferred_username": "alice"})
	code, page := open(link.ConnectURL + "&sign_in_again=true")
	_, onward, found := strings.Cut(page, `class="next" href="`)
	onward, _, _ = strings.Cut(onward, `"`)
	if code != http.StatusOK || !found || !strings.Contains(page, "It will be connected for alice.") {
		t.Fatalf("alice's browser ended at %d:\n%s", code, page)
	}
	end, err := sandbox.Person{Client: browser}.Approve(t.Context(), html.UnescapeString(onward), sandbox.DefaultAccounts()[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(end.Body)
	if err != nil || end.Body.Close() != nil || end.StatusCode != http.StatusOK {
		t.Fatalf("the browser ended at a page with status %d, %v:\n%s", end.StatusCode, err, body)
	}
	runJSON(t, nil, "credentials", "--json", "alice", "acme")
}

// serveSigningIn runs a vault that has the issuer sign people in, for the length of
// the test, and returns the token of its caller.
func serveSigningIn(t *testing.T, issuer *vaulttest.Issuer, addresses []string, transport http.RoundTripper) secret.String {
	t.Helper()
	client := issuer.Login("")
	token, key := access.GenerateToken(), keyring.GenerateMasterKey().Reveal()
	text := readmeProvider(t) + `
listen: {grpc: ` + addresses[0] + `, http: ` + addresses[1] + `}
storage: {bolt: {path: vault.db}}
master_key: file:master.key
binding: login
consent_page: true
login:
  issuer: ` + issuer.URL + `
  client_id: ` + client.ClientID + `
  client_secret: env:LOGIN_SECRET
  subject_claim: preferred_username
callers:
  - {name: a, token_sha256: ` + access.HashToken(token).String() + `, rpcs: ["*"], providers: ["*"], subjects: ["*"]}
`
	c, err := config.Parse(t.TempDir()+"/tokenvault.yaml", []byte(text), config.Source{
		LookupEnv: func(name string) (string, bool) {
			return map[string]string{"ACME_CLIENT_SECRET": "acme-canary", "LOGIN_SECRET": client.ClientSecret.Reveal()}[name], true
		},
		ReadFile: func(string) ([]byte, error) { return []byte(key), nil },
		RPCs:     server.RPCs(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Login.RedirectURL != vault.LoginRedirectURL("http://"+addresses[1]) {
		t.Errorf("redirect URI = %s", c.Login.RedirectURL)
	}
	c.Providers[0].Transport = transport
	runStack(t, c)
	return token
}
