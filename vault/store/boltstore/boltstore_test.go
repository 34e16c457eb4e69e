package boltstore_test

import (
	"bufio"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/tokenvault/tokenvault/vault/store"
	"github.com/tokenvault/tokenvault/vault/store/boltstore"
	"github.com/tokenvault/tokenvault/vault/store/storetest"
)

// backend opens one file, again and again.
type backend struct{ path string }

func (b backend) Open(t *testing.T) store.Store {
	t.Helper()
	s, err := boltstore.OpenOrCreate(b.path, storetest.Watched()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (backend) History() int { return boltstore.Retention }

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Backend {
		b := backend{path: filepath.Join(t.TempDir(), "vault.db")}
		t.Cleanup(func() { checkFile(t, b.path) }) // runs after the stores are closed
		return b
	})
}

func checkFile(t *testing.T, path string) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		t.Errorf("open the file afterwards: %v", err)
		return
	}
	defer db.Close()
	_ = db.View(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			t.Errorf("the file afterwards: %v", err)
		}
		return nil
	})
}

// made returns the path of a database with one record in it, closed.
func made(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vault", "vault.db")
	s, err := boltstore.OpenOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Commit(t.Context(), store.Put(store.Key{Kind: "things", ID: "a"}, bytes.Repeat([]byte("x"), 64<<10), store.Absent))
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestADamagedOrForeignFileStopsTheStart(t *testing.T) {
	for _, row := range []struct {
		name   string
		damage func(t *testing.T, path string, data []byte)
		want   string
	}{
		{"missing", func(t *testing.T, path string, _ []byte) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}, "is missing, though it was made here once"},
		{"empty", func(t *testing.T, path string, _ []byte) { write(t, path, nil) }, "is empty"},
		{"one byte", func(t *testing.T, path string, data []byte) { write(t, path, data[:1]) }, "damaged"},
		{"one page", func(t *testing.T, path string, data []byte) { write(t, path, data[:4096]) }, "damaged"},
		{"two pages", func(t *testing.T, path string, data []byte) { write(t, path, data[:8192]) }, "damaged"},
		{"half", func(t *testing.T, path string, data []byte) { write(t, path, data[:len(data)/2]) }, "damaged"},
		{"text", func(t *testing.T, path string, _ []byte) { write(t, path, bytes.Repeat([]byte("hello\n"), 10000)) }, "damaged"},
		{"zeros", func(t *testing.T, path string, data []byte) { write(t, path, make([]byte, len(data))) }, "damaged"},
		{"both headers flipped", func(t *testing.T, path string, data []byte) {
			data[16] ^= 1
			data[4096+16] ^= 1
			write(t, path, data)
		}, "damaged"},
		{"a foreign bbolt file", func(t *testing.T, path string, _ []byte) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			db, err := bolt.Open(path, 0o600, nil)
			if err := errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
		}, "not made by this version of tokenvault"},
		{"another vault's", func(t *testing.T, path string, _ []byte) {
			other, err := os.ReadFile(made(t))
			if err != nil {
				t.Fatal(err)
			}
			write(t, path, other)
		}, "not the one that was made here"},
	} {
		t.Run(row.name, func(t *testing.T) {
			path := made(t)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			row.damage(t, path, data)
			before, _ := os.ReadFile(path)
			s, err := boltstore.OpenOrCreate(path)
			if err == nil {
				_ = s.Close()
				t.Fatal("the file was accepted")
			}
			if !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error = %q, want one with %q and the path", err, row.want)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestARestoredBackupIsAcceptedWithoutItsMarker(t *testing.T) {
	path := made(t)
	if err := os.Remove(path + ".marker"); err != nil {
		t.Fatal(err)
	}
	s := backend{path}.Open(t)
	if _, err := s.Get(t.Context(), store.Key{Kind: "things", ID: "a"}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path + ".marker"); err != nil {
		t.Errorf("the marker was not made again: %v", err)
	}
}

func TestOnlyItsOwnerCanReadTheFile(t *testing.T) {
	path := made(t)
	for name, want := range map[string]fs.FileMode{path: 0o600, path + ".marker": 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, %v; want %v", name, info.Mode().Perm(), err, want)
		}
	}
}

// The tests below run this test binary again as another process.

const childPath = "BOLTSTORE_TEST_PATH"

func child(t *testing.T, test, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$", "-test.v")
	cmd.Env = append(os.Environ(), childPath+"="+path)
	return cmd
}

func TestASecondProcessIsRefused(t *testing.T) {
	if path := os.Getenv(childPath); path != "" {
		if _, err := boltstore.OpenOrCreate(path); err == nil || !strings.Contains(err.Error(), "in use by another process") {
			t.Errorf("the second process got %v", err)
		}
		return
	}
	path := made(t)
	backend{path}.Open(t)
	if out, err := child(t, "TestASecondProcessIsRefused", path).CombinedOutput(); err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
}

func TestADatabaseThatIsOnlyReadStaysAsItIs(t *testing.T) {
	nowhere := filepath.Join(t.TempDir(), "vault.db")
	if _, err := boltstore.OpenReadOnly(nowhere); err == nil || !strings.Contains(err.Error(), "there is no database") {
		t.Errorf("OpenReadOnly of no file = %v", err)
	}
	if _, err := os.Stat(nowhere); !errors.Is(err, fs.ErrNotExist) {
		t.Error("OpenReadOnly has made a file")
	}
	path := made(t)
	if err := os.Remove(path + ".marker"); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := boltstore.OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), store.Put(store.Key{Kind: "k", ID: "x"}, []byte("v"), store.Any)); err == nil {
		t.Error("a commit went through")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file has changed (%v)", err)
	}
	if _, err := os.Stat(path + ".marker"); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a marker was made")
	}
}

func TestAKilledProcessLosesNothingItHasAcknowledged(t *testing.T) {
	counter := store.Key{Kind: "things", ID: "n"}
	if path := os.Getenv(childPath); path != "" {
		s := backend{path}.Open(t)
		for i := 1; ; i++ {
			if _, err := s.Commit(t.Context(), store.Put(counter, []byte(strconv.Itoa(i)), store.Any)); err != nil {
				t.Fatal(err)
			}
			_, _ = os.Stdout.WriteString("acknowledged " + strconv.Itoa(i) + "\n")
		}
	}
	path := made(t)
	cmd := child(t, "TestAKilledProcessLosesNothingItHasAcknowledged", path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	acknowledged := 0
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), "acknowledged ") {
			continue
		}
		if acknowledged++; acknowledged == 20 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		} // what the child has said before its end is still to be read
	}
	_ = cmd.Wait()
	rec, err := backend{path}.Open(t).Get(t.Context(), counter)
	if err != nil {
		t.Fatal(err)
	}
	// One commit may have been made that the child had no time to acknowledge.
	if n, err := strconv.Atoi(string(rec.Value)); err != nil || n < acknowledged || n > acknowledged+1 {
		t.Errorf("the record is %q, %v; %d were acknowledged", rec.Value, err, acknowledged)
	}
}

// oldHistory turns a file into one of the time when the history's bucket counted
// the commits, and had other keys.
func oldHistory(t *testing.T, path string, commits uint64) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		history := tx.Bucket([]byte("_history"))
		return errors.Join(
			tx.Bucket([]byte("_meta")).SetSequence(0),
			history.SetSequence(commits),
			history.Put([]byte("\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00"), []byte("p\x06thingsa")),
		)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestAFileWithAnOldHistoryGoesOnFromItsRevision(t *testing.T) {
	path := made(t)
	oldHistory(t, path, 41)
	s := backend{path}.Open(t)
	thing := store.Key{Kind: "things", ID: "b"}
	revision, err := s.Commit(t.Context(), store.Put(thing, nil, store.Any))
	if err != nil || revision <= 41 {
		t.Fatalf("revision %d, %v; want one above 41", revision, err)
	}
	for from, want := range map[store.Revision]error{40: store.ErrCompacted, 41: nil} {
		for event, err := range s.Watch(t.Context(), store.Key{Kind: "things"}, from) {
			if !errors.Is(err, want) || err == nil && (event.Key != thing || event.Revision != revision) {
				t.Errorf("a watch from %d: %+v, %v; want %v", from, event, err, want)
			}
			break
		}
	}
}

func TestAHalfWrittenMarkerIsNoMarker(t *testing.T) {
	path := made(t)
	if err := os.Remove(path + ".marker"); err != nil {
		t.Fatal(err)
	}
	write(t, path+".marker.new", []byte("12"))
	if err := (backend{path}).Open(t).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + ".marker.new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what an interrupted start has left is still there: %v", err)
	}
	backend{path}.Open(t)
}

func BenchmarkGet(b *testing.B) {
	st, err := boltstore.OpenOrCreate(filepath.Join(b.TempDir(), "vault.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	k := store.Key{Kind: "things", ID: strings.Repeat("k", 48)}
	if _, err := st.Commit(b.Context(), store.Put(k, make([]byte, 400), store.Any)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := st.Get(b.Context(), k); err != nil {
			b.Fatal(err)
		}
	}
}
