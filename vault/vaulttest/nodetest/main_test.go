package nodetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tokenvault/tokenvault/vault/vaulttest"
	"github.com/tokenvault/tokenvault/vault/vaulttest/browsertest"
)

// All the tests share a browser and the program mailchimp-mcp: to start the one and to
// build the other takes longer than most of them.
var (
	chromium *browsertest.Chromium
	binary   string
)

func TestMain(m *testing.M) {
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runTests(m *testing.M) (code int, err error) {
	if err := Check(); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "nodetest")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if binary, err = buildServer(dir); err != nil {
		return 1, err
	}
	if chromium, err = browsertest.Start(); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, chromium.Stop()) }()
	return m.Run(), nil
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
