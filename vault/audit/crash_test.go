package audit_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/vault/audit"
)

// What is killed here is a process of its own: this test's binary, run once more with
// the path of a log in its environment. What it acknowledges it writes to its output.

const pathVariable = "AUDIT_PATH"

func TestMain(m *testing.M) {
	path, ordered := os.LookupEnv(pathVariable)
	if !ordered {
		os.Exit(m.Run())
	}
	// It must not outlive the test, which holds the other end of its input.
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	fmt.Fprintln(os.Stderr, "the process ended by itself:", appendForever(path))
	os.Exit(1)
}

// appendForever has several callers append, and tells each entry that was acknowledged.
func appendForever(path string) error {
	key, err := audit.NewKey(bytes.Repeat([]byte{1}, 32)) // that of newKey
	if err != nil {
		return err
	}
	l, err := audit.Open(context.Background(), audit.Config{Path: path, Key: key, Keeper: onDisk(path + ".head")})
	if err != nil {
		return err
	}
	failed := make(chan error)
	go func() { failed <- l.Run(context.Background()) }()
	for caller := range 4 {
		go func() {
			for i := 0; ; i++ {
				e := entry(i)
				e.RequestID = fmt.Sprint(os.Getpid(), "-", caller, "-", i)
				if err := l.Append(e); err != nil {
					failed <- err
				}
				_, _ = os.Stdout.WriteString(e.RequestID + "\n")
			}
		}()
	}
	return <-failed
}

// onDisk keeps a head in a file.
type onDisk string

func (path onDisk) LoadHead(context.Context) (head audit.Head, err error) {
	content, err := os.ReadFile(string(path))
	if errors.Is(err, fs.ErrNotExist) {
		return head, nil
	}
	return head, errors.Join(err, json.Unmarshal(content, &head))
}

func (path onDisk) SaveHead(_ context.Context, head audit.Head) error {
	content, err := json.Marshal(head)
	if err != nil {
		return err
	}
	if err := os.WriteFile(string(path)+".new", content, 0o600); err != nil {
		return err
	}
	return os.Rename(string(path)+".new", string(path))
}

// killAfter runs a process, kills it when it has told so many entries, and returns
// all that it has told.
func killAfter(t *testing.T, path string, n int) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), pathVariable+"="+path)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var told []string
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if told = append(told, lines.Text()); len(told) == n {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = stdin.Close()
	_ = cmd.Wait()
	if cmd.ProcessState.ExitCode() != -1 { // -1: a signal has ended it
		t.Fatalf("the process ended by itself: %v\n%s", cmd.ProcessState, stderr.String())
	}
	return told
}

func TestProcessesKilledAtAnyMomentHaveRecordedAllThatTheyTold(t *testing.T) {
	rounds := 40
	if testing.Short() {
		rounds = 8
	}
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	told, waiting := map[string]int{}, 0
	for range rounds {
		for _, id := range killAfter(t, path, 1+rand.IntN(1200)) {
			told[id]++
		}
		head, err := onDisk(path + ".head").LoadHead(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if report := verifyStopped(t, head, path); len(report.Problems) != 0 {
			t.Fatalf("problems = %v", report.Problems)
		}
		_, lines := parted(read(t, audit.JournalPath(path)))
		waiting += bytes.Count(lines, []byte("\n"))
	}
	head, err := onDisk(path + ".head").LoadHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stop(t, open(t, path, &memory{head: head}))
	recorded := map[string]int{}
	for text := range bytes.Lines(read(t, path)) {
		line, err := audit.ParseLine(bytes.TrimSuffix(text, []byte("\n")))
		if err != nil {
			t.Fatal(err)
		}
		if line.Entry != nil {
			recorded[line.Entry.RequestID]++
		}
	}
	for id, n := range recorded {
		if n != 1 {
			t.Errorf("%s is on record %d times", id, n)
		}
	}
	for id := range told {
		if recorded[id] == 0 {
			t.Errorf("%s was acknowledged, and is not on record", id)
		}
	}
	t.Logf("%d processes were killed: %d entries were acknowledged, %d recorded, %d lines were in the journal only", rounds, len(told), len(recorded), waiting)
}
