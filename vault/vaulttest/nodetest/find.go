package nodetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// modules is where make test puts the packages, from the root of the repository.
const modules = ".ci/web/node_modules"

// oldestNode is the oldest version that the packages run on.
const oldestNode = 20

// Check says what has to be installed before a Program can run. Nil: nothing.
func Check() error {
	out, err := exec.CommandContext(context.Background(), "node", "--print", "process.versions.node.split('.')[0]").Output()
	if err != nil {
		return fmt.Errorf("the tests of other languages need Node.js %d or newer: install it, with npm (on macOS: brew install node) (%w)", oldestNode, err)
	}
	version, err := strconv.Atoi(string(bytes.TrimSpace(out)))
	if err != nil {
		return fmt.Errorf("ask Node.js for its version: %w", err)
	}
	if version < oldestNode {
		return fmt.Errorf("the tests of other languages need Node.js %d or newer, and this is %d: install a newer one (https://nodejs.org)", oldestNode, version)
	}
	root, err := findRoot()
	if err != nil {
		return err
	}
	// npm writes this file last.
	if _, err := os.Stat(filepath.Join(root, modules, ".package-lock.json")); err != nil {
		return fmt.Errorf("the tests of other languages need packages from npm: run make test, or npm ci --ignore-scripts --prefix .ci/web (%w)", err)
	}
	return nil
}

// findRoot returns the root of the repository that the test runs in.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("nodetest: the working directory is in no Go module")
		}
		dir = parent
	}
}
