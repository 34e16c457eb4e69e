package nodetest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

func TestMain(m *testing.M) {
	if err := Check(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// script returns a program of testdata, with all that is beside it there.
func script(t *testing.T, name string, env ...string) Program {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.mjs")
	if err != nil {
		t.Fatal(err)
	}
	p := Program{Name: name, Files: map[string]string{}, Env: env}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		p.Files[filepath.Base(path)] = string(text)
	}
	p.Source = p.Files[name]
	return p
}

// at is where a program finds a stack's vault, and how it calls.
func at(s *vaulttest.Stack) []string {
	return []string{"TOKENVAULT_ADDR=" + s.GRPCAddress, "TOKENVAULT_TOKEN=" + s.Token.Reveal()}
}
