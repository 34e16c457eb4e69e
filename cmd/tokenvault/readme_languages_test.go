package main

import (
	"os"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
	"github.com/tokenvault/tokenvault/vault/vaulttest/nodetest"
)

// TestTheREADMEsProgramForNodeRunsAsWritten runs it once, and does what it asks for.
func TestTheREADMEsProgramForNodeRunsAsWritten(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, program, _ := strings.Cut(string(readme), "```js\n")
	program, _, found := strings.Cut(program, "```")
	if !found {
		t.Fatal("the README has no program for Node.js")
	}
	s := vaulttest.New(t, vaulttest.Config{})
	env := []string{"TOKENVAULT_ADDR=" + s.GRPCAddress, "TOKENVAULT_TOKEN=" + s.Token.Reveal()}
	running := nodetest.Start(t, nodetest.Program{Name: "lists.mjs", Source: program, Env: env})
	line := running.Line()
	link, ok := strings.CutPrefix(line, "Open this: ")
	if !ok {
		t.Fatalf("it prints %q, want a link", line)
	}
	page, err := sandbox.Person{Client: s.NewBrowser()}.Approve(t.Context(), link, vaulttest.Ada)
	if err != nil || page.Body.Close() != nil {
		t.Fatal(err)
	}
	if line, want := running.Line(), "[ 'Analytical Engines Ltd news', 'Friends of Analytical Engines Ltd' ]"; line != want {
		t.Errorf("it prints %q, want alice's lists %q", line, want)
	}
	running.End()
}
