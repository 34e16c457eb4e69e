package audit_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenvault/tokenvault/vault/audit"
)

// killed is a log of fifteen entries, of which five stand in the journal only.
func killed(t *testing.T) (path string, keeper *memory) {
	t.Helper()
	path, keeper = written(t)
	l := open(t, path, keeper)
	l.Hold()
	appendEntries(t, l, 5)
	l.Kill()
	return path, keeper
}

// verifyStopped verifies a log as is done where the vault is stopped: its journal, too.
func verifyStopped(t *testing.T, head audit.Head, path string) audit.Report {
	t.Helper()
	return verify(t, head, path, audit.JournalPath(path))
}

// parted is what stands before the lines of a journal, and the lines.
func parted(journal []byte) (head, lines []byte) {
	return journal[:audit.LinesAt], journal[audit.LinesAt:][:binary.NativeEndian.Uint64(journal[audit.LengthAt:])]
}

func wantEntries(t *testing.T, report audit.Report, n int) {
	t.Helper()
	if len(report.Problems) != 0 || report.Entries != n {
		t.Errorf("report = %+v, want %d entries and no problems", report, n)
	}
}

func TestAKilledProcessLeavesItsLastLinesInTheJournal(t *testing.T) {
	path, keeper := killed(t)
	wantEntries(t, verify(t, keeper.head, path), 10)
	wantEntries(t, verifyStopped(t, keeper.head, path), 15)
	_, waiting := parted(read(t, audit.JournalPath(path)))
	l := open(t, path, keeper)
	if len(waiting) == 0 || !bytes.HasSuffix(read(t, path), waiting) {
		t.Error("the file does not end with the lines as they were in the journal")
	}
	appendEntries(t, l, 1)
	stop(t, l)
	wantEntries(t, verifyStopped(t, keeper.head, path), 16)
}

func TestALineIsInTheFileOnceWhereTheJournalHasItToo(t *testing.T) {
	path, keeper := killed(t)
	journal := read(t, audit.JournalPath(path))
	open(t, path, keeper).Kill() // before the journal was cleared
	if err := os.WriteFile(audit.JournalPath(path), journal, 0o600); err != nil {
		t.Fatal(err)
	}
	wantEntries(t, verifyStopped(t, keeper.head, path), 15)
	l := open(t, path, keeper)
	appendEntries(t, l, 1)
	stop(t, l)
	wantEntries(t, verifyStopped(t, keeper.head, path), 16)
}

func TestALineThatWasHalfWrittenIsTakenFromTheJournal(t *testing.T) {
	path, keeper := killed(t)
	_, lines := parted(read(t, audit.JournalPath(path)))
	end := bytes.IndexByte(lines, '\n') + 1 // of the first
	content := read(t, path)
	for name, row := range map[string]struct {
		half []byte
		want int // problems
	}{
		"half of the first":            {lines[:end/2], 0},
		"the first without its end":    {lines[:end-1], 0},
		"the first, half of the next":  {lines[:end+20], 0},
		"half of another":              {lines[end : end+20], 1},
		"half of the first, made up":   {append(bytes.Clone(lines[:20]), 'x'), 1},
		"the first and nothing after":  {lines[:end], 0},
		"all, and half of one made up": {append(bytes.Clone(lines), lines[:20]...), 1},
	} {
		if err := os.WriteFile(path, append(bytes.Clone(content), row.half...), 0o600); err != nil {
			t.Fatal(err)
		}
		if report := verifyStopped(t, keeper.head, path); len(report.Problems) != row.want || report.Entries != 15 {
			t.Errorf("%s: report = %+v, want %d problems", name, report, row.want)
		}
	}
	if err := os.WriteFile(path, append(bytes.Clone(content), lines[:end/2]...), 0o600); err != nil {
		t.Fatal(err)
	}
	stop(t, open(t, path, keeper))
	wantEntries(t, verifyStopped(t, keeper.head, path), 15)
}

func TestALogWithoutAJournalIsOpened(t *testing.T) {
	path, keeper := written(t)
	if err := os.Remove(audit.JournalPath(path)); err != nil {
		t.Fatal(err)
	}
	l := open(t, path, keeper)
	info, err := os.Stat(audit.JournalPath(path))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the journal is %v, %v; want one that only its owner may read", info, err)
	}
	appendEntries(t, l, 1)
	stop(t, l)
	wantEntries(t, verifyStopped(t, keeper.head, path), 11)
}

func TestAnOlderJournalAddsNothing(t *testing.T) {
	path, keeper := killed(t)
	older := read(t, audit.JournalPath(path))
	l := open(t, path, keeper)
	appendEntries(t, l, 20)
	stop(t, l)
	if err := os.WriteFile(audit.JournalPath(path), older, 0o600); err != nil {
		t.Fatal(err)
	}
	wantEntries(t, verifyStopped(t, keeper.head, path), 35)
	stop(t, open(t, path, keeper))
	wantEntries(t, verifyStopped(t, keeper.head, path), 35)
}

// TestNoTamperingWithTheJournalGoesUnseen changes each byte that counts. What cannot be
// found there is what cannot be found at the end of a file: that lines were cut off.
func TestNoTamperingWithTheJournalGoesUnseen(t *testing.T) {
	path, keeper := killed(t)
	content, journal := read(t, path), read(t, audit.JournalPath(path))
	head, text := parted(journal)
	lines := slices.Collect(bytes.Lines(text))
	rejoined := func(lines ...[]byte) []byte {
		return append(slices.Concat(head, bytes.Join(lines, nil)), journal[len(head)+len(bytes.Join(lines, nil)):]...)
	}
	changes := map[string][]byte{
		"a line dropped":     rejoined(slices.Delete(slices.Clone(lines), 1, 2)...),
		"two lines swapped":  rejoined(lines[1], lines[0], lines[2], lines[3], lines[4]),
		"a line doubled":     rejoined(lines[0], lines[0], lines[1], lines[2], lines[3]),
		"of another size":    journal[:len(journal)-1],
		"emptied":            {},
		"an important note":  []byte("an important note"),
		"longer than itself": slices.Concat(journal, journal),
	}
	hashEnd := bytes.IndexByte(head[audit.BeforeAt:], 0) + audit.BeforeAt
	for i := range len(head) + len(text) {
		if i >= hashEnd && i < len(head) || testing.Short() && i%7 != 0 {
			continue // nothing is there
		}
		changed := bytes.Clone(journal)
		changed[i] ^= []byte{1, 2, 0x20}[i%3]
		changes[fmt.Sprintf("byte %d changed", i)] = changed
	}
	for name, changed := range changes {
		files := []audit.File{{Name: "log", Reader: bytes.NewReader(content)}, {Name: "journal", Reader: bytes.NewReader(changed)}}
		report, err := audit.Verify(newKey(t, 1), keeper.head, files...)
		if err != nil || len(report.Problems) == 0 {
			t.Errorf("not found: %s (%+v, %v)", name, report, err)
		}
	}
}

func TestAJournalThatWasTamperedWithIsMovedAwayAndSaid(t *testing.T) {
	for name, change := range map[string]func(journal []byte) []byte{
		"a word of the third line": func(j []byte) []byte { return bytes.Replace(j, []byte("subject-2"), []byte("subject-7"), 1) },
		"garbage":                  func([]byte) []byte { return []byte("an important note") },
	} {
		t.Run(name, func(t *testing.T) {
			path, keeper := killed(t)
			odd := change(read(t, audit.JournalPath(path)))
			if err := os.WriteFile(audit.JournalPath(path), odd, 0o600); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			l, err := audit.Open(t.Context(), audit.Config{Path: path, Key: newKey(t, 1), Keeper: keeper, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), ".journal.odd") {
				t.Errorf("the log says %q, want where the journal is now", log.String())
			}
			if !bytes.Equal(read(t, audit.JournalPath(path)+".odd"), odd) {
				t.Error("what was in the journal is not kept")
			}
			appendEntries(t, l, 1)
			stop(t, l)
			report := verifyStopped(t, keeper.head, path)
			whole := map[string]int{"a word of the third line": 2}[name]
			wantEntries(t, report, 10+whole+1)
		})
	}
}

func TestLinesReachTheFileUnasked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	synctest.Test(t, func(t *testing.T) {
		l := open(t, path, &memory{})
		appendEntries(t, l, 3)
		if n := bytes.Count(read(t, path), []byte("\n")); n != 1 {
			t.Errorf("%d lines are in the file at once, want the first only", n)
		}
		time.Sleep(20 * time.Millisecond) // of the test's clock
		if n := bytes.Count(read(t, path), []byte("\n")); n != 4 {
			t.Errorf("%d lines are in the file a moment later, want 4", n)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestAFullJournalIsWrittenToTheFile(t *testing.T) {
	path, keeper := written(t)
	l := open(t, path, keeper)
	l.Hold()
	const many = 5000 // some five times what it holds
	appendEntries(t, l, many)
	l.Kill()
	wantEntries(t, verifyStopped(t, keeper.head, path), 10+many)
}

func TestWhatIsAcknowledgedOutlivesAWriteThatFails(t *testing.T) {
	for name, then := range map[string]func(t *testing.T, l *audit.Log, path string, keeper *memory) *audit.Log{
		"the next entry":          func(_ *testing.T, l *audit.Log, _ string, _ *memory) *audit.Log { return l },
		"the file is opened anew": func(t *testing.T, l *audit.Log, _ string, _ *memory) *audit.Log { return reopened(t, l) },
		"the process is killed": func(t *testing.T, l *audit.Log, path string, keeper *memory) *audit.Log {
			l.Kill()
			return open(t, path, keeper)
		},
	} {
		t.Run(name, func(t *testing.T) {
			path, keeper := written(t)
			l := open(t, path, keeper)
			l.Hold()
			appendEntries(t, l, 5)
			if err := l.Break(); err != nil {
				t.Fatal(err)
			}
			if _, err := l.Verify(); err != nil || l.Healthy() == nil {
				t.Fatalf("Verify = %v, Healthy = %v; want that the write has failed", err, l.Healthy())
			}
			l = then(t, l, path, keeper)
			appendEntries(t, l, 1)
			if l.Healthy() != nil {
				t.Errorf("Healthy = %v after a write that went well", l.Healthy())
			}
			stop(t, l)
			wantEntries(t, verifyStopped(t, keeper.head, path), 16)
		})
	}
}

func reopened(t *testing.T, l *audit.Log) *audit.Log {
	t.Helper()
	if err := l.Reopen(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestAFileThatIsMovedAwayWhileItCannotBeWrittenTakesNoEntryWithIt(t *testing.T) {
	path, keeper := written(t)
	l := open(t, path, keeper)
	l.Hold()
	appendEntries(t, l, 5)
	if err := errors.Join(l.Break(), os.Rename(path, path+".1")); err != nil {
		t.Fatal(err)
	}
	reopened(t, l)
	appendEntries(t, l, 1)
	stop(t, l)
	wantEntries(t, verify(t, keeper.head, path+".1", path, audit.JournalPath(path)), 16)
}

func TestNothingIsAcknowledgedThatCannotBeWritten(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "audit.jsonl")
	l := open(t, path, &memory{})
	l.Hold()
	appendEntries(t, l, 5)
	// The folder goes away with the journal; the lines are still in memory.
	if err := errors.Join(l.Break(), os.RemoveAll(folder)); err != nil {
		t.Fatal(err)
	}
	_, _ = l.Verify()
	for range 3 {
		if err := l.Append(entry(6)); !errors.Is(err, audit.ErrUnavailable) {
			t.Fatalf("Append = %v, want ErrUnavailable", err)
		}
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	appendEntries(t, l, 1)
	stop(t, l)
	wantEntries(t, verify(t, audit.Head{}, path, audit.JournalPath(path)), 6)
}

func TestAJournalThatIsCutOffDoesNotEndTheProcess(t *testing.T) {
	path, keeper := written(t)
	l := open(t, path, keeper)
	if err := os.Truncate(audit.JournalPath(path), 0); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(entry(1)); !errors.Is(err, audit.ErrUnavailable) || l.Healthy() == nil {
		t.Errorf("Append = %v, Healthy = %v; want that both say it", err, l.Healthy())
	}
	appendEntries(t, l, 1) // there is another journal
	stop(t, l)
	wantEntries(t, verifyStopped(t, keeper.head, path), 11)
}

func TestAJournalThatIsReplacedIsMadeAnew(t *testing.T) {
	path, keeper := written(t)
	l := open(t, path, keeper)
	l.Hold()
	appendEntries(t, l, 5)
	another := path + ".another"
	if err := errors.Join(os.WriteFile(another, []byte("an important note"), 0o600), os.Rename(another, audit.JournalPath(path)), l.Break()); err != nil {
		t.Fatal(err)
	}
	_, _ = l.Verify()
	appendEntries(t, l, 1)
	l.Kill()
	wantEntries(t, verifyStopped(t, keeper.head, path), 16)
}

func TestLinesThatAreMissingBeforeTheJournalAreTold(t *testing.T) {
	path, keeper := written(t)
	l := open(t, path, keeper)
	content := read(t, path)
	appendEntries(t, l, 3)
	if _, err := l.Verify(); err != nil { // has the file hold them
		t.Fatal(err)
	}
	l.Hold()
	appendEntries(t, l, 2)
	l.Kill()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, verifyStopped(t, keeper.head, path), "lines 12 to 14 are missing before this one")
	var log bytes.Buffer
	again, err := audit.Open(t.Context(), audit.Config{Path: path, Key: newKey(t, 1), Keeper: keeper, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "after=11 before=15") {
		t.Errorf("the log says %q, want which lines are missing", log.String())
	}
	stop(t, again)
	wantEntries(t, verifyStopped(t, keeper.head, path), 12)
}

func TestAJournalThatCannotBeMadeStopsTheStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := os.Mkdir(audit.JournalPath(path)+".new", 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := audit.Open(t.Context(), audit.Config{Path: path, Key: newKey(t, 1), Keeper: &memory{}})
	if err == nil || !strings.Contains(err.Error(), "make files in the log's folder") {
		t.Errorf("Open = %v, want what the vault needs", err)
	}
	if _, err := os.Stat(audit.JournalPath(path)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a journal was made (%v)", err)
	}
}

func TestAFileIsMovedAwayWhileManyWriteAndTheProcessIsKilled(t *testing.T) {
	path, keeper := written(t)
	l := open(t, path, keeper)
	l.Hold()
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() { appendEntries(t, l, 100) })
	}
	var paths []string
	for i := range 5 {
		paths = append(paths, fmt.Sprint(path, ".", i))
		if err := os.Rename(path, paths[i]); err != nil {
			t.Fatal(err)
		}
		reopened(t, l)
	}
	writers.Wait()
	l.Kill()
	wantEntries(t, verify(t, keeper.head, append(paths, path, audit.JournalPath(path))...), 810)
	stop(t, open(t, path, keeper))
	wantEntries(t, verify(t, keeper.head, append(paths, path)...), 810)
}
