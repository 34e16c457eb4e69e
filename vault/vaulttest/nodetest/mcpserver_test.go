package nodetest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// buildServer builds the real mailchimp-mcp.
func buildServer(dir string) (path string, err error) {
	path = filepath.Join(dir, "mailchimp-mcp")
	out, err := exec.Command("go", "build", "-o", path, "github.com/tokenvault/tokenvault/cmd/mailchimp-mcp").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build mailchimp-mcp: %w\n%s", err, out)
	}
	return path, nil
}

// mailchimpMCP returns the path of the program. The go command does not know what is in
// it, and would take the tests for unchanged where only the server has changed; it does
// know which files a test has looked at.
func mailchimpMCP(t *testing.T) string {
	t.Helper()
	root, err := findRoot()
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"cmd/mailchimp-mcp", "vault/client"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				_, err = os.Stat(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return binary
}

// person is the subject of the tests.
const person = "alice"

// overStdio is a server that the client starts itself, for one person.
func overStdio(t *testing.T, s *vaulttest.Stack, flags ...string) server {
	t.Helper()
	return server{Command: mailchimpMCP(t), Args: flags, Env: map[string]string{
		"TOKENVAULT_ADDR": s.GRPCAddress, "TOKENVAULT_TOKEN": s.Token.Reveal(), "TOKENVAULT_SUBJECT": person,
	}}
}

// audience is whom the tokens of people are made out to.
const audience = "mailchimp-mcp"

// overHTTP starts a server for everybody who has a token of the issuer's, and returns it
// with alice's.
func overHTTP(t *testing.T, s *vaulttest.Stack, issuer *vaulttest.Issuer, flags ...string) server {
	t.Helper()
	args := append([]string{"--http", "127.0.0.1:0", "--issuer", issuer.URL, "--audience", audience, "--log-format", "json"}, flags...)
	cmd := exec.CommandContext(t.Context(), mailchimpMCP(t), args...)
	cmd.Env = at(s) // and nothing of whoever runs the tests
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, rest := bufio.NewScanner(log), make(chan string, 1)
	t.Cleanup(func() {
		_ = cmd.Wait() // killed by the context of the test
		if logged := <-rest; t.Failed() {
			t.Logf("the MCP server has logged:\n%s", logged)
		}
	})
	var before strings.Builder
	for lines.Scan() {
		before.WriteString(lines.Text() + "\n")
		var serving struct{ Msg, MCP string }
		if json.Unmarshal(lines.Bytes(), &serving) == nil && serving.Msg == "serving" {
			go func() {
				defer close(rest)
				for lines.Scan() {
					before.WriteString(lines.Text() + "\n")
				}
				rest <- before.String()
			}()
			token := issuer.Token(map[string]any{"sub": person, "aud": audience})
			return server{URL: serving.MCP, Token: token.Reveal()}
		}
	}
	close(rest)
	t.Fatalf("the MCP server does not serve:\n%s", before.String())
	return server{}
}
