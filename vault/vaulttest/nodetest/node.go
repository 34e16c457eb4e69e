// Package nodetest runs programs of Node.js beside the real stack: clients that other
// people have written, and programs that know no more of the vault than its .proto
// files. What is promised to them is so tried outside of Go.
//
// A program prints a line of JSON for each thing that it has seen, and the test
// compares. It ends with the test.
package nodetest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// stepLimit ends the wait for a program that hangs. It says nothing of how quick
// one is to be.
const stepLimit = time.Minute

// Program is a program for Node.js, an ES module.
type Program struct {
	// Name is the file's, which ends in .mjs.
	Name string
	// Source is its text. It finds the packages of .ci/web, and runs in the root of
	// the repository, where proto/ is.
	Source string
	// Files lie beside it, by their names.
	Files map[string]string
	// Preload is the name of one of Files that is run first. Empty: none.
	Preload string
	// Env is added to the environment, as NAME=VALUE.
	Env []string
}

// Process is a running Program. Its methods end the test where something does not go
// as the test says; they are for one goroutine.
type Process struct {
	t      testing.TB
	name   string
	cmd    *exec.Cmd
	input  io.WriteCloser
	output chan string // lines; closed at the end
	stderr vaulttest.Log
	ended  chan struct{} // closed once err is set
	err    error
}

// Start starts a program, which is killed if it still runs when the test ends.
func Start(t testing.TB, p Program) *Process {
	t.Helper()
	root, err := findRoot()
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(root, modules), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	path := write(t, dir, p.Name, p.Source)
	for name, text := range p.Files {
		write(t, dir, name, text)
	}
	args := []string{path}
	if p.Preload != "" {
		args = append([]string{"--import", filepath.Join(dir, p.Preload)}, args...)
	}
	process := &Process{t: t, name: p.Name, output: make(chan string), ended: make(chan struct{})}
	process.cmd = exec.CommandContext(t.Context(), "node", args...)
	process.cmd.Dir, process.cmd.Env, process.cmd.Stderr = root, append(os.Environ(), p.Env...), &process.stderr
	process.cmd.WaitDelay = 10 * time.Second // for what it has started itself, and keeps its output open
	process.start()
	return process
}

func write(t testing.TB, dir, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (p *Process) start() {
	p.t.Helper()
	var err error
	if p.input, err = p.cmd.StdinPipe(); err != nil {
		p.t.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	stop := make(chan struct{})
	go func() {
		defer close(p.ended)
		lines := bufio.NewScanner(stdout)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			select {
			case p.output <- lines.Text():
			case <-stop:
			}
		}
		close(p.output)
		p.err = errors.Join(lines.Err(), p.cmd.Wait())
	}()
	p.t.Cleanup(func() {
		close(stop)
		p.input.Close() // the context of the test has ended, and the process with it
		<-p.ended
	})
}

// Line waits for the next line that the program prints.
func (p *Process) Line() string {
	p.t.Helper()
	select {
	case line, ok := <-p.output:
		if !ok {
			<-p.ended
			p.t.Fatalf("nodetest: %s has ended (%v) where another line was to come:\n%s", p.name, p.err, p.stderr.String())
		}
		return line
	case <-time.After(stepLimit):
		p.t.Fatalf("nodetest: %s prints nothing:\n%s", p.name, p.stderr.String())
		return ""
	}
}

// Read waits for the next line, which is JSON, and decodes it into v.
func (p *Process) Read(v any) {
	p.t.Helper()
	line := p.Line()
	decoder := json.NewDecoder(strings.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		p.t.Fatalf("nodetest: %s prints %q: %v", p.name, line, err)
	}
}

// Say writes a line that the program reads.
func (p *Process) Say(line string) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.input, line); err != nil {
		p.t.Fatalf("nodetest: tell %s %q: %v", p.name, line, err)
	}
}

// End waits until the program has ended well, without another line.
func (p *Process) End() {
	p.t.Helper()
	select {
	case line, more := <-p.output:
		if more {
			p.t.Fatalf("nodetest: %s prints %q, want nothing more", p.name, line)
		}
	case <-time.After(stepLimit):
		p.t.Fatalf("nodetest: %s does not end:\n%s", p.name, p.stderr.String())
	}
	if <-p.ended; p.err != nil {
		p.t.Fatalf("nodetest: %s: %v\n%s", p.name, p.err, p.stderr.String())
	}
}
