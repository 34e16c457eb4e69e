package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// TestTheREADMEsProgramRunsAsWritten builds it, and runs it twice with what it says
// between.
func TestTheREADMEsProgramRunsAsWritten(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, program, _ := strings.Cut(string(readme), "```go\n")
	program, _, found := strings.Cut(program, "```")
	if !found {
		t.Fatal("the README has no program")
	}
	source, binary := filepath.Join(t.TempDir(), "main.go"), filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(source, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, source).CombinedOutput(); err != nil {
		t.Fatalf("it does not build: %v\n%s", err, out)
	}
	s := vaulttest.New(t, vaulttest.Config{})
	run := func() string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), binary)
		cmd.Env = append(os.Environ(), "TOKENVAULT_ADDR="+s.GRPCAddress, "TOKENVAULT_TOKEN="+s.Token.Reveal())
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	link, ok := strings.CutPrefix(run(), "Open this: ")
	if !ok {
		t.Fatalf("there is no link: %s", link)
	}
	page, err := sandbox.Person{Client: s.NewBrowser()}.Approve(t.Context(), strings.TrimSpace(link), vaulttest.Ada)
	if err != nil || page.Body.Close() != nil {
		t.Fatal(err)
	}
	if out := run(); !strings.Contains(out, `"lists"`) {
		t.Errorf("it prints %s, want alice's lists", out)
	}
}

// TestTheREADMEsMCPServerIsTheExample holds what the README shows of one to the example
// that it names.
func TestTheREADMEsMCPServerIsTheExample(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("../../vault/client/mcpauth/example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(readme), "```go\nconnections, ")
	shown, _, found := strings.Cut(shown, "```")
	if !found {
		t.Fatal("the README shows nothing of an MCP server")
	}
	for line := range strings.Lines("connections, " + shown) {
		if !strings.Contains(string(example), strings.TrimSpace(line)) {
			t.Errorf("the example of mcpauth does not have %s", line)
		}
	}
}
