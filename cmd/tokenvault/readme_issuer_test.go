package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/cmd/tokenvault/internal/config"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/keyring"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/server"
)

// TestTheREADMEsProviderIsConnectedByItsIssuer runs the README's example to the
// letter: somebody connects at the provider that it names, of which the vault
// knows no more than what is written there.
func TestTheREADMEsProviderIsConnectedByItsIssuer(t *testing.T) {
	example := readmeProvider(t)
	if lines := strings.Count(example, "\n"); lines > 8 {
		t.Errorf("the example has %d lines, want 8 or fewer:\n%s", lines, example)
	}
	addresses, err := freeAddresses(2)
	if err != nil {
		t.Fatal(err)
	}
	transport := acmeTransport(t, "http://"+addresses[1])
	token := serveExample(t, example, addresses, transport)
	t.Setenv("TOKENVAULT_ADDR", addresses[0])
	t.Setenv("TOKENVAULT_TOKEN", token.Reveal())

	var link struct{ ConnectURL string }
	runJSON(t, &link, "connect", "--json", "alice", "acme")
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	person := sandbox.Person{Client: &http.Client{Jar: jar, Transport: transport}}
	page, err := person.Approve(t.Context(), link.ConnectURL, sandbox.DefaultAccounts()[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(page.Body)
	if err != nil || page.Body.Close() != nil || !strings.Contains(string(body), "is connected") {
		t.Fatalf("the browser ended at a page with status %d, %v:\n%s", page.StatusCode, err, body)
	}
	runJSON(t, nil, "refresh", "--json", "alice", "acme")
	var credentials struct{ Headers map[string]string }
	runJSON(t, &credentials, "credentials", "--json", "alice", "acme")
	if !strings.HasPrefix(credentials.Headers["Authorization"], "Bearer ") {
		t.Errorf("credentials have headers %v", credentials.Headers)
	}
	runJSON(t, nil, "disconnect", "--json", "alice", "acme")
}

// readmeProvider returns the README's provider that has an issuer.
func readmeProvider(t *testing.T) string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for block := range strings.SplitSeq(string(readme), "```yaml\n") {
		if example, _, found := strings.Cut(block, "```"); found && strings.HasPrefix(example, "providers:") && strings.Contains(example, "issuer:") {
			return example
		}
	}
	t.Fatal("the README has no provider with an issuer")
	return ""
}

// acmeTransport leads to id.acme.example, which the sandbox plays, and to
// loopback.
func acmeTransport(t *testing.T, publicURL string) http.RoundTripper {
	t.Helper()
	sb, err := sandbox.New(sandbox.Config{Clients: []sandbox.Client{{
		ID: "vault", Secret: "acme-canary", Auth: sandbox.AuthBasic, RedirectURIs: []string{vault.RedirectURL(publicURL, "acme")},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewTLSServer(sb)
	t.Cleanup(web.Close)
	trusted := web.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: trusted, ServerName: "example.com"}, // whom its certificate is for
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == "id.acme.example:443" {
				address = web.Listener.Addr().String()
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
}

// serveExample runs a vault with the README's provider until the test ends.
func serveExample(t *testing.T, example string, addresses []string, transport http.RoundTripper) (token secret.String) {
	t.Helper()
	token = access.GenerateToken()
	dir, key := t.TempDir(), keyring.GenerateMasterKey().Reveal()
	text := example + "listen: {grpc: " + addresses[0] + ", http: " + addresses[1] + "}\n" +
		strings.Replace(minimalConfiguration, strings.Repeat("0123456789abcdef", 4), access.HashToken(token).String(), 1)
	c, err := config.Parse(dir+"/README.yaml", []byte(text), config.Source{
		LookupEnv: func(name string) (string, bool) { return "acme-canary", name == "ACME_CLIENT_SECRET" },
		ReadFile:  func(string) ([]byte, error) { return []byte(key), nil },
		RPCs:      server.RPCs(),
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Providers[0].Transport = transport
	runStack(t, c)
	return token
}

// runStack runs a vault until the test ends.
func runStack(t *testing.T, c *config.Config) {
	t.Helper()
	s, err := newStack(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	grpcListener, httpListener, err := listen(t.Context(), setting{"grpc", c.GRPCAddress}, setting{"http", c.HTTPAddress})
	if err != nil {
		t.Fatal(joinClose(err, s))
	}
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- s.run(ctx, grpcListener, httpListener) }()
	t.Cleanup(func() {
		stop()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}

// runJSON runs a command and reads the JSON that it prints.
func runJSON(t *testing.T, into any, args ...string) {
	t.Helper()
	var out, log bytes.Buffer
	if code := run(t.Context(), args, &out, &log); code != 0 {
		t.Fatalf("%v: exit status %d: %s", args, code, log.String())
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(out.Bytes(), into); err != nil {
		t.Fatalf("%v: %v:\n%s", args, err, out.String())
	}
}
