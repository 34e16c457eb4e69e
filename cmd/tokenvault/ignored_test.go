package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"testing"
)

// TestSecretsMadeInACloneAreNotCommitted asks git about what the README and `dev`
// make people create.
func TestSecretsMadeInACloneAreNotCommitted(t *testing.T) {
	if _, err := os.Stat("../../.git"); errors.Is(err, fs.ErrNotExist) {
		t.Skip("this is no clone: there is nothing that could be committed")
	}
	for _, path := range []string{
		"master.key", "tokenvault.yaml", "vault.db", "vault.db.marker", "vault.db.new", "caller.token", "mcp.json", "mcp.token", "acme.secret", "audit.jsonl", "audit.jsonl.1",
		".tokenvault/tokenvault.yaml", "bin/tokenvault",
	} {
		cmd := exec.CommandContext(t.Context(), "git", "check-ignore", "--quiet", "--no-index", path)
		cmd.Dir = "../.."
		if err := cmd.Run(); err != nil {
			t.Errorf("%s is not ignored by git (%v)", path, err)
		}
	}
}
