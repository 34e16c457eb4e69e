package audit_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/vault/audit"
)

// rotated is a log of two files, some fifty lines, and the head that was kept of it.
func rotated(t *testing.T) (older, newer []byte, head audit.Head) {
	t.Helper()
	path, keeper := filepath.Join(t.TempDir(), "audit.jsonl"), &memory{}
	l := open(t, path, keeper)
	appendEntries(t, l, 24)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(t.Context()); err != nil {
		t.Fatal(err)
	}
	appendEntries(t, l, 24)
	stop(t, l)
	return read(t, path+".1"), read(t, path), keeper.head
}

// tampering is what has been made of the two files. Nil: the file is not there.
type tampering struct {
	name         string
	older, newer []byte
}

// problems verifies what has been made of a log.
func (c tampering) problems(t *testing.T, head audit.Head) []audit.Problem {
	t.Helper()
	var files []audit.File
	for name, content := range map[string][]byte{"1": c.older, "2": c.newer} {
		if content != nil {
			files = append(files, audit.File{Name: name, Reader: bytes.NewReader(content)})
		}
	}
	slices.SortFunc(files, func(a, b audit.File) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	report, err := audit.Verify(newKey(t, 1), head, files...)
	if err != nil {
		t.Fatal(err)
	}
	return report.Problems
}

// TestNoTamperingGoesUnseen does all that can be done to the lines of a log without
// its key. What may be done is in the test after it.
func TestNoTamperingGoesUnseen(t *testing.T) {
	older, newer, head := rotated(t)
	if problems := (tampering{"nothing", older, newer}).problems(t, head); len(problems) != 0 {
		t.Fatalf("as it was written: %v", problems)
	}
	n := 0
	for c := range tamperings(older, newer) {
		n++
		if len(c.problems(t, head)) == 0 {
			t.Errorf("not found: %s", c.name)
		}
	}
	t.Logf("%d ways to tamper with %d lines", n, bytes.Count(older, []byte("\n"))+bytes.Count(newer, []byte("\n")))
}

func tamperings(older, newer []byte) func(yield func(tampering) bool) {
	return func(yield func(tampering) bool) {
		for _, make := range []func(older, newer []byte) func(func(tampering) bool){edits, cuts, moves, files} {
			for c := range make(older, newer) {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// edits change each byte; now and then they add one, or take it out.
func edits(older, newer []byte) func(yield func(tampering) bool) {
	random, step := rand.New(rand.NewPCG(1, 2)), 1
	if testing.Short() {
		step = 17
	}
	both := slices.Concat(older, newer)
	// made puts what has become of both back into two files.
	made := func(name string, i, longer int, content []byte) tampering {
		end := len(older)
		if i < end {
			end += longer
		}
		return tampering{fmt.Sprintf("byte %d %s", i, name), content[:end:end], content[end:]}
	}
	return func(yield func(tampering) bool) {
		for i := 0; i < len(both); i += step {
			changed := slices.Clone(both)
			changed[i] ^= []byte{1, 2, 0x20, byte(1 + random.IntN(255))}[i/step%4]
			if !yield(made("changed", i, 0, changed)) {
				return
			}
			added := slices.Insert(slices.Clone(both), i, " \r\n0"[i/step%4])
			if i%5 == 0 && (!yield(made("taken out", i, -1, slices.Delete(slices.Clone(both), i, i+1))) || !yield(made("added before", i, 1, added))) {
				return
			}
		}
	}
}

// cuts end a file at each line, before and after what ends it, and within it.
func cuts(older, newer []byte) func(yield func(tampering) bool) {
	atLine := func(content []byte, i int) bool { return content[i] == '\n' || content[i-1] == '\n' || i%37 == 0 }
	return func(yield func(tampering) bool) {
		for i := 1; i < len(older); i++ {
			if atLine(older, i) && !yield(tampering{fmt.Sprintf("the older file cut at byte %d", i), older[:i], newer}) {
				return
			}
		}
		for i := 1; i < len(newer); i++ {
			if atLine(newer, i) && !yield(tampering{fmt.Sprintf("the newer file cut at byte %d", i), older, newer[:i]}) {
				return
			}
		}
	}
}

// moves drop, double and swap lines, and move them, also into the other file.
func moves(older, newer []byte) func(yield func(tampering) bool) {
	step := 1
	if testing.Short() {
		step = 7
	}
	first, all := bytes.Count(older, []byte("\n")), slices.Collect(bytes.Lines(slices.Concat(older, newer)))
	// made puts lines back into two files, of which the first has n.
	made := func(name string, n int, lines ...[]byte) tampering {
		return tampering{name, bytes.Join(lines[:n], nil), bytes.Join(lines[n:], nil)}
	}
	return func(yield func(tampering) bool) {
		for i := range all {
			inOlder := 0
			if i < first {
				inOlder = 1
			}
			without := slices.Delete(slices.Clone(all), i, i+1)
			if !yield(made(fmt.Sprintf("line %d dropped", i+1), first-inOlder, without...)) ||
				!yield(made(fmt.Sprintf("line %d doubled", i+1), first+inOlder, slices.Insert(slices.Clone(all), i, all[i])...)) {
				return
			}
			for j := i % step; j < len(all); j += step {
				swapped := slices.Clone(all)
				swapped[i], swapped[j] = swapped[j], swapped[i]
				if j > i && !yield(made(fmt.Sprintf("lines %d and %d swapped", i+1, j+1), first, swapped...)) {
					return
				}
				into := 0
				if j < first-inOlder {
					into = 1
				}
				if i != j && !yield(made(fmt.Sprintf("line %d moved to %d", i+1, j+1), first-inOlder+into, slices.Insert(slices.Clone(without), j, all[i])...)) {
					return
				}
			}
		}
		for n := range len(all) + 1 {
			if n != first && n > 0 && n < len(all) && !yield(made(fmt.Sprintf("the files parted after line %d", n), n, all...)) {
				return
			}
		}
	}
}

// files drops, swaps and doubles whole ones, and joins them.
func files(older, newer []byte) func(yield func(tampering) bool) {
	return slices.Values([]tampering{
		{"the newer file dropped", older, nil},
		{"both files dropped", nil, nil},
		{"the files swapped", newer, older},
		{"the older file instead of the newer", nil, older},
		{"the older file twice", older, older},
		{"the newer file twice", newer, newer},
		{"the older file emptied", []byte{}, newer},
		{"the newer file emptied", older, []byte{}},
	})
}

func TestAnOlderCopyOfTheFileIsFound(t *testing.T) {
	path, keeper := written(t)
	older := read(t, path)
	l := open(t, path, keeper)
	appendEntries(t, l, 5)
	stop(t, l)
	if err := os.WriteFile(path, older, 0o600); err != nil {
		t.Fatal(err)
	}
	if report := verify(t, keeper.head, path); len(report.Problems) != 1 {
		t.Errorf("problems = %v, want the lines that are missing at the end", report.Problems)
	}
	if _, err := audit.Open(t.Context(), audit.Config{Path: path, Key: newKey(t, 1), Keeper: keeper}); err == nil {
		t.Error("the log goes on after an older copy of its file")
	}
}

func TestAFileThatWasTruncatedInPlaceIsFound(t *testing.T) {
	path, keeper := written(t)
	l := open(t, path, keeper)
	copied := path + ".1"
	if err := os.WriteFile(copied, read(t, path), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, verify(t, keeper.head, copied, path), "is empty")
	appendEntries(t, l, 3)
	stop(t, l)
	wantProblem(t, verify(t, keeper.head, copied, path), "truncated in place")
	wantProblem(t, verify(t, keeper.head, path), "truncated in place")
}

func wantProblem(t *testing.T, report audit.Report, text string) {
	t.Helper()
	if len(report.Problems) != 1 || !strings.Contains(report.Problems[0].Text, text) {
		t.Errorf("problems = %v, want one that says %q", report.Problems, text)
	}
}

// TestWhatCannotBeFound shows the limits that the package names.
func TestWhatCannotBeFound(t *testing.T) {
	_, newer, head := rotated(t)
	if problems := (tampering{"", nil, newer}).problems(t, head); len(problems) != 0 {
		t.Errorf("files deleted from the front, which is allowed: %v", problems)
	}
	path, keeper := written(t)
	atFirst, content := keeper.head, read(t, path)
	l := open(t, path, keeper)
	appendEntries(t, l, 5)
	stop(t, l)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if report := verify(t, atFirst, path); len(report.Problems) != 0 {
		t.Errorf("file and head set back together: %v", report.Problems)
	}
}
