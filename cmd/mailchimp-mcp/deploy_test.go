package main

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// TestTheTeamsCommandServes runs what deploy/README.md has operators run, with the places
// of this test in it.
func TestTheTeamsCommandServes(t *testing.T) {
	text, err := os.ReadFile("../../deploy/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(text), "\nmailchimp-mcp ")
	line, _, found := strings.Cut(line, "\n")
	if !found {
		t.Fatal("it has no command of the MCP server's")
	}
	stack, issuer := vaulttest.New(t, vaulttest.Config{}), vaulttest.NewIssuer(t, nil)
	token := filepath.Join(t.TempDir(), "caller.token")
	if err := os.WriteFile(token, []byte(stack.Token.Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	args := strings.Fields(line)
	for flag, value := range map[string]string{
		"--vault": stack.GRPCAddress, "--token-file": token, "--issuer": issuer.URL, "--http": "127.0.0.1:0", "--log-format": "text",
	} {
		i := slices.Index(args, flag)
		if i < 0 {
			t.Fatalf("the command has no %s: %s", flag, line)
		}
		args[i+1] = value
	}
	p := command(t, nil, args...)
	p.start(t)
	addr := p.log.await(t, `msg=serving http=(\S+)`)
	const endpoint = "https://mcp.example.com/mcp"
	shown := issuer.Token(map[string]any{"aud": endpoint, "sub": "alice"})
	resp := post(t, "http://"+addr+"/mcp", shown, initialize, "Host", "mcp.example.com")
	if said := body(t, resp); resp.StatusCode != http.StatusOK {
		t.Errorf("to somebody with a token it says %d: %s", resp.StatusCode, said)
	}
	resp = request(t, http.MethodGet, "http://"+addr+"/.well-known/oauth-protected-resource/mcp", shown, "", "Host", "mcp.example.com")
	if said := body(t, resp); !strings.Contains(said, endpoint) || !strings.Contains(said, issuer.URL) {
		t.Errorf("its metadata is %s, want %s and %s in it", said, endpoint, issuer.URL)
	}
}
