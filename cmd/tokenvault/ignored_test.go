package main

import (
	"os/exec"
	"testing"
)

// TestSecretsMadeInACloneAreNotCommitted asks git about what the README and `dev`
// make people create.
func TestSecretsMadeInACloneAreNotCommitted(t *testing.T) {
	if out, err := exec.CommandContext(t.Context(), "git", "rev-parse", "--is-inside-work-tree").CombinedOutput(); err != nil {
		t.Skipf("not a clone: %v %s", err, out)
	}
	for _, path := range []string{
		"master.key", "tokenvault.yaml", "vault.db", "vault.db.marker", "vault.db.new", "caller.token", "acme.secret",
		".tokenvault/tokenvault.yaml", "bin/tokenvault",
	} {
		cmd := exec.CommandContext(t.Context(), "git", "check-ignore", "--quiet", "--no-index", path)
		cmd.Dir = "../.."
		if err := cmd.Run(); err != nil {
			t.Errorf("%s is not ignored by git (%v)", path, err)
		}
	}
}
