package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenvault/tokenvault/vault/audit"
)

// memory keeps a head.
type memory struct {
	mu   sync.Mutex
	head audit.Head
}

func (m *memory) LoadHead(context.Context) (audit.Head, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.head, nil
}

func (m *memory) SaveHead(_ context.Context, head audit.Head) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.head = head
	return nil
}

func newKey(t testing.TB, seed byte) audit.Key {
	t.Helper()
	key, err := audit.NewKey(bytes.Repeat([]byte{seed}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func open(t testing.TB, path string, keeper *memory) *audit.Log {
	t.Helper()
	l, err := audit.Open(t.Context(), audit.Config{Path: path, Key: newKey(t, 1), Keeper: keeper})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// stop keeps the head and closes the log, as a process does that ends well.
func stop(t testing.TB, l *audit.Log) {
	t.Helper()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := errors.Join(l.Run(ended), l.Close()); err != nil {
		t.Fatal(err)
	}
}

func entry(i int) audit.Entry {
	return audit.Entry{Time: time.Unix(int64(i), 0).UTC(), RPC: "GetCredentials", Outcome: audit.Allowed, Caller: "mcp", Tenant: "default", Subject: fmt.Sprint("subject-", i), Provider: "mailchimp"}
}

func appendEntries(t testing.TB, l *audit.Log, n int) {
	t.Helper()
	for i := range n {
		if err := l.Append(entry(i)); err != nil {
			t.Fatal(err)
		}
	}
}

// written is a log of ten entries, closed, and the head that was kept of it.
func written(t *testing.T) (path string, keeper *memory) {
	t.Helper()
	path, keeper = filepath.Join(t.TempDir(), "audit.jsonl"), &memory{}
	l := open(t, path, keeper)
	appendEntries(t, l, 10)
	stop(t, l)
	return path, keeper
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func verify(t *testing.T, head audit.Head, paths ...string) audit.Report {
	t.Helper()
	var files []audit.File
	for _, path := range paths {
		files = append(files, audit.File{Name: path, Reader: bytes.NewReader(read(t, path))})
	}
	report, err := audit.Verify(newKey(t, 1), head, files...)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestALogAsItWasWrittenHasNoProblems(t *testing.T) {
	path, keeper := written(t)
	report := verify(t, keeper.head, path)
	if len(report.Problems) != 0 || report.Entries != 10 || report.Last != keeper.head {
		t.Errorf("report = %+v, want ten entries, no problems, and the head %+v", report, keeper.head)
	}
}

func TestEveryChangeIsFound(t *testing.T) {
	lines := func(content []byte) [][]byte {
		return bytes.SplitAfter(bytes.TrimSuffix(content, []byte("\n")), []byte("\n"))
	}
	for _, row := range []struct {
		name   string
		change func(content []byte) []byte
	}{
		{"a word edited", func(c []byte) []byte { return bytes.Replace(c, []byte("subject-4"), []byte("subject-5"), 1) }},
		{"an outcome edited", func(c []byte) []byte { return bytes.Replace(c, []byte("allowed"), []byte("denied"), 1) }},
		{"a byte of a hash edited", func(c []byte) []byte { c[len(c)-5] ^= 1; return c }},
		{"white space added", func(c []byte) []byte { return bytes.Replace(c, []byte(`"rpc":`), []byte(`"rpc": `), 1) }},
		{"a line dropped", func(c []byte) []byte { l := lines(c); return bytes.Join(append(l[:4:4], l[5:]...), nil) }},
		{"the last line dropped", func(c []byte) []byte { l := lines(c); return bytes.Join(l[:10], nil) }},
		{"the first line dropped", func(c []byte) []byte { return bytes.Join(lines(c)[1:], nil) }},
		{"two lines swapped", func(c []byte) []byte { l := lines(c); l[3], l[4] = l[4], l[3]; return bytes.Join(l, nil) }},
		{"a line doubled", func(c []byte) []byte { l := lines(c); return bytes.Join(append(l[:4:4], l[3:]...), nil) }},
		{"a made-up line added", func(c []byte) []byte {
			return append(c, `{"seq":12,"time":"2030-01-01T00:00:00Z","rpc":"X","outcome":"allowed","hash":"AAAA"}`+"\n"...)
		}},
		{"truncated within a line", func(c []byte) []byte { return c[:len(c)-20] }},
		{"emptied", func([]byte) []byte { return nil }},
		{"other text", func([]byte) []byte { return []byte("hello\n") }},
	} {
		t.Run(row.name, func(t *testing.T) {
			path, keeper := written(t)
			content := read(t, path)
			if err := os.WriteFile(path, row.change(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if report := verify(t, keeper.head, path); len(report.Problems) == 0 {
				t.Errorf("nothing was found: %+v", report)
			}
		})
	}
}

func TestAnotherKeyFindsNothingRight(t *testing.T) {
	path, keeper := written(t)
	content := read(t, path)
	report, err := audit.Verify(newKey(t, 2), keeper.head, audit.File{Name: path, Reader: bytes.NewReader(content)})
	if err != nil || len(report.Problems) == 0 {
		t.Errorf("report = %+v, %v", report, err)
	}
}

func TestALogGoesOnWhereItEnded(t *testing.T) {
	path, keeper := written(t)
	l := open(t, path, keeper)
	appendEntries(t, l, 5)
	stop(t, l)
	if report := verify(t, keeper.head, path); len(report.Problems) != 0 || report.Entries != 15 {
		t.Errorf("report = %+v", report)
	}
}

func TestAProcessThatIsKilledLosesNothingItHasAcknowledged(t *testing.T) {
	path, keeper := written(t)
	l := open(t, path, keeper)
	appendEntries(t, l, 5) // the head is not kept, and the file not closed
	l.Kill()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"seq":17,"time":"20`); err != nil { // half a line
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, path, keeper)
	appendEntries(t, again, 1)
	stop(t, again)
	if report := verify(t, keeper.head, path); len(report.Problems) != 0 || report.Entries != 16 {
		t.Errorf("report = %+v", report)
	}
}

func TestAFileThatWasTamperedWithStopsTheStart(t *testing.T) {
	path, keeper := written(t)
	content := read(t, path)
	cut := bytes.LastIndexByte(content[:len(content)-1], '\n') + 1
	if err := os.WriteFile(path, content[:cut], 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := audit.Open(t.Context(), audit.Config{Path: path, Key: newKey(t, 1), Keeper: keeper})
	if err == nil || !strings.Contains(err.Error(), "audit verify") {
		t.Fatalf("Open = %v, want that it says how to look at it", err)
	}
	if err := os.Rename(path, path+".odd"); err != nil {
		t.Fatal(err)
	}
	l := open(t, path, keeper)
	appendEntries(t, l, 1)
	stop(t, l)
	if report := verify(t, keeper.head, path+".odd", path); len(report.Problems) != 1 {
		t.Errorf("problems = %v, want the gap, and nothing else", report.Problems)
	}
}

func TestFilesThatWereMovedAwayBelongTogether(t *testing.T) {
	path, keeper := written(t)
	l := open(t, path, keeper)
	for i := range 3 {
		if err := os.Rename(path, fmt.Sprint(path, ".", i)); err != nil {
			t.Fatal(err)
		}
		appendEntries(t, l, 2) // still into the file that was moved
		if err := l.Reopen(t.Context()); err != nil {
			t.Fatal(err)
		}
		appendEntries(t, l, 2)
	}
	stop(t, l)
	if report := verify(t, keeper.head, path+".0", path+".1", path+".2", path); len(report.Problems) != 0 || report.Entries != 22 {
		t.Errorf("report = %+v", report)
	}
	if report := verify(t, keeper.head, path+".1", path+".2", path); len(report.Problems) != 0 {
		t.Errorf("without the oldest file: %v", report.Problems)
	}
	if report := verify(t, keeper.head, path+".0", path+".2", path); len(report.Problems) == 0 {
		t.Error("that a file is missing in the middle was not found")
	}
}

func TestAFileIsMovedAwayWhileManyWrite(t *testing.T) {
	path, keeper := written(t)
	l := open(t, path, keeper)
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
		if err := l.Reopen(t.Context()); err != nil {
			t.Fatal(err)
		}
		// As if the process were killed now: what it has kept fits the new file.
		head, _ := keeper.LoadHead(t.Context())
		content := read(t, path)
		copied := filepath.Join(t.TempDir(), "audit.jsonl")
		if err := os.WriteFile(copied, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := open(t, copied, &memory{head: head}).Close(); err != nil {
			t.Fatal(err)
		}
	}
	writers.Wait()
	stop(t, l)
	if report := verify(t, keeper.head, append(paths, path)...); len(report.Problems) != 0 || report.Entries != 810 {
		t.Errorf("report = %+v", report)
	}
}

func TestAFileThatIsNoLogIsLeftAsItIs(t *testing.T) {
	for name, content := range map[string]string{
		"no line":    "an important note",
		"lines":      "an important note\nof two lines and a bit",
		"long":       strings.Repeat("x", 3<<20),
		"other JSON": "{\"seq\":",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "note")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := audit.Open(t.Context(), audit.Config{Path: path, Key: newKey(t, 1), Keeper: &memory{}}); err == nil {
				t.Error("Open took it for a log")
			}
			if left, err := os.ReadFile(path); err != nil || string(left) != content {
				t.Errorf("%d bytes are left of %d (%v)", len(left), len(content), err)
			}
		})
	}
}

func TestLinesAfterTheKeptHeadDoNotHideThatItsLineIsAnother(t *testing.T) {
	path, keeper := written(t)
	// The log goes on from an older head in a file of its own: the lines between are
	// other ones, made with the right key, as after the disk was set back.
	older := verify(t, audit.Head{}, path).Last
	l := open(t, path, keeper)
	appendEntries(t, l, 5)
	stop(t, l)
	if err := os.Rename(path, path+".kept"); err != nil {
		t.Fatal(err)
	}
	forked := open(t, path, &memory{head: older})
	appendEntries(t, forked, 10)
	stop(t, forked)
	if report := verify(t, keeper.head, path); len(report.Problems) != 1 {
		t.Errorf("problems = %v, want that line %d is not the one that was written", report.Problems, keeper.head.Sequence)
	}
}

func TestManyWriteOneChain(t *testing.T) {
	path, keeper := filepath.Join(t.TempDir(), "audit.jsonl"), &memory{}
	l := open(t, path, keeper)
	running, end := context.WithCancel(t.Context())
	var background, writers sync.WaitGroup
	background.Go(func() {
		if err := l.Run(running); err != nil {
			t.Error(err)
		}
	})
	for range 32 {
		writers.Go(func() { appendEntries(t, l, 50) })
	}
	writers.Wait()
	end()
	background.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if report := verify(t, keeper.head, path); len(report.Problems) != 0 || report.Entries != 1600 {
		t.Errorf("report = %+v", report)
	}
}

func TestALogThatCannotBeWrittenSaysSo(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	path, keeper := filepath.Join(folder, "audit.jsonl"), &memory{}
	l := open(t, path, keeper)
	appendEntries(t, l, 1)
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(t.Context()); err == nil || l.Healthy() == nil {
		t.Fatalf("Reopen = %v, Healthy = %v; want that both say it", err, l.Healthy())
	}
	if err := l.Append(entry(1)); !errors.Is(err, audit.ErrUnavailable) {
		t.Errorf("Append = %v, want ErrUnavailable", err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	appendEntries(t, l, 1)
	if l.Healthy() != nil {
		t.Errorf("Healthy = %v after a write that went well", l.Healthy())
	}
	stop(t, l)
}

func TestALogRecoversUnasked(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		l := open(t, filepath.Join(folder, "audit.jsonl"), &memory{})
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
		if err := l.Reopen(t.Context()); err == nil {
			t.Fatal("Reopen of a file in no folder went well")
		}
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		running, end := context.WithCancel(t.Context())
		var background sync.WaitGroup
		background.Go(func() {
			if err := l.Run(running); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(2 * time.Second) // of the test's clock
		if err := l.Healthy(); err != nil {
			t.Errorf("Healthy = %v after the folder was back, and nothing was asked for", err)
		}
		end()
		background.Wait()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestFingerprintsTellTokensApartAndNothingElse(t *testing.T) {
	key := newKey(t, 1)
	first, again := key.Fingerprint("a"), key.Fingerprint("a")
	if first != again || key.Fingerprint("a") == key.Fingerprint("b") || key.Fingerprint("a") == newKey(t, 2).Fingerprint("a") {
		t.Error("fingerprints of the same token differ, or of different ones do not")
	}
}

func TestARememberedFingerprintIsTheKeys(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "audit.jsonl"), &memory{})
	defer stop(t, l)
	for range 2 {
		for i := range 5000 { // more than are remembered
			token := fmt.Sprint("token-", i)
			if got, want := l.Fingerprint(token), newKey(t, 1).Fingerprint(token); got != want {
				t.Fatalf("fingerprint of %s = %s, want %s", token, got, want)
			}
		}
	}
}

func FuzzParseLine(f *testing.F) {
	f.Add([]byte(`{"seq":1,"time":"2030-01-01T00:00:00Z","opened":"tokenvault-audit-1","hash":"x"}`))
	f.Add([]byte(`{"seq":2,"time":"2030-01-01T00:00:00Z","rpc":"GetCredentials","outcome":"allowed","subject":"a\",\"hash\":\"","hash":"x"}`))
	f.Add([]byte(`{"seq":2,"hash":"x","hash":"y"}`))
	f.Add([]byte(`,"hash":""}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if line, err := audit.ParseLine(text); err == nil && line.Sequence == 0 {
			t.Errorf("line without a number: %+v", line)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 16} {
		b.Run(fmt.Sprint(writers, " at once"), func(b *testing.B) {
			l := open(b, filepath.Join(b.TempDir(), "audit.jsonl"), &memory{})
			defer l.Close()
			b.ReportAllocs()
			b.SetParallelism(writers)
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					if err := l.Append(entry(i)); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
