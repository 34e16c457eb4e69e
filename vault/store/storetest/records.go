package storetest

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenvault/tokenvault/vault/store"
)

func recordIsAsItWasPut(t *testing.T, b Backend) {
	s := b.Open(t)
	binary := key("\x00\xff/\n\x80")
	for _, value := range []string{"", "text", "\x00\x01\xff"} {
		revision := put(t, s, binary, value)
		if rec := wantValue(t, s, binary, value); rec.Revision != revision {
			t.Errorf("revision = %d, want that of the commit, %d", rec.Revision, revision)
		}
	}
	_, err := s.Get(t.Context(), store.Key{Kind: "others", ID: binary.ID})
	wantError(t, err, store.ErrNotFound)
	_, err = s.Get(t.Context(), key("absent"))
	wantError(t, err, store.ErrNotFound)
}

func valuesBelongToTheCaller(t *testing.T, b Backend) {
	s := b.Open(t)
	value := []byte("value")
	commit(t, s, store.Put(key("a"), value, store.Any))
	clear(value)
	clear(wantValue(t, s, key("a"), "value").Value)
	page, err := s.List(t.Context(), key(""), "", 1)
	if err != nil {
		t.Fatal(err)
	}
	clear(page.Records[0].Value)
	wantValue(t, s, key("a"), "value")
}

func deletedIsNotFound(t *testing.T, b Backend) {
	s := b.Open(t)
	revision := put(t, s, key("a"), "1")
	commit(t, s, store.Delete(key("a"), revision))
	_, err := s.Get(t.Context(), key("a"))
	wantError(t, err, store.ErrNotFound)
	commit(t, s, store.Delete(key("a"), store.Any)) // deleting what is not there is no error
	commit(t, s, store.Put(key("a"), []byte("2"), store.Absent))
}

func expectationsAreKept(t *testing.T, b Backend) {
	s := b.Open(t)
	old := put(t, s, key("a"), "1")
	current := put(t, s, key("a"), "2")
	for _, row := range []struct {
		name string
		op   store.Op
		want error
	}{
		{"absent, but there", store.Put(key("a"), []byte("x"), store.Absent), store.ErrConflict},
		{"an old revision", store.Put(key("a"), []byte("x"), old), store.ErrConflict},
		{"a revision to come", store.Put(key("a"), []byte("x"), current+1), store.ErrConflict},
		{"a revision of what is not there", store.Put(key("b"), []byte("x"), current), store.ErrConflict},
		{"deleting an old revision", store.Delete(key("a"), old), store.ErrConflict},
		{"deleting a revision of what is not there", store.Delete(key("b"), current), store.ErrConflict},
		{"absent, and so it is", store.Put(key("c"), []byte("3"), store.Absent), nil},
		{"the current revision", store.Put(key("a"), []byte("3"), current), nil},
	} {
		if _, err := s.Commit(t.Context(), row.op); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", row.name, err, row.want)
		}
	}
	wantValue(t, s, key("a"), "3")
}

func commitIsAllOrNothing(t *testing.T, b Backend) {
	s := b.Open(t)
	put(t, s, key("a"), "1")
	put(t, s, key("b"), "1")
	_, err := s.Commit(t.Context(),
		store.Put(key("a"), []byte("2"), store.Any),
		store.Delete(key("b"), store.Any),
		store.Put(key("c"), []byte("2"), store.Any),
		store.Put(key("a2"), []byte("2"), 99999),
	)
	wantError(t, err, store.ErrConflict)
	wantValue(t, s, key("a"), "1")
	wantValue(t, s, key("b"), "1")
	_, err = s.Get(t.Context(), key("c"))
	wantError(t, err, store.ErrNotFound)
}

func senselessCommitsAreRefused(t *testing.T, b Backend) {
	s := b.Open(t)
	for name, ops := range map[string][]store.Op{
		"nothing":        {},
		"no kind":        {store.Put(store.Key{ID: "a"}, nil, store.Any)},
		"odd kind":       {store.Put(store.Key{Kind: "A/b", ID: "a"}, nil, store.Any)},
		"no ID":          {store.Put(key(""), nil, store.Any)},
		"too long an ID": {store.Put(key(strings.Repeat("x", 257)), nil, store.Any)},
		"a key twice":    {store.Put(key("a"), []byte("1"), store.Any), store.Delete(key("a"), store.Any)},
	} {
		if _, err := s.Commit(t.Context(), ops...); err == nil {
			t.Errorf("%s: committed", name)
		}
	}
	if _, err := s.List(t.Context(), key(""), "", 0); err == nil {
		t.Error("a list without a limit was made")
	}
	_, err := s.Get(t.Context(), key("a"))
	wantError(t, err, store.ErrNotFound)
}

func revisionsRise(t *testing.T, b Backend) {
	s := b.Open(t)
	last := store.Revision(0)
	for i := range 20 {
		revision := put(t, s, numbered(i%3), "x")
		if revision <= last {
			t.Fatalf("revision %d after %d", revision, last)
		}
		last = revision
	}
	page, err := s.List(t.Context(), key(""), "", 10)
	if err != nil || page.Revision != last {
		t.Errorf("the list's revision = %d, %v; want %d", page.Revision, err, last)
	}
}

func ids(page store.Page) []string {
	var out []string
	for _, rec := range page.Records {
		out = append(out, rec.Key.ID)
	}
	return out
}

func listIsInOrder(t *testing.T, b Backend) {
	s := b.Open(t)
	for _, id := range []string{"b2", "a", "b", "b1", "\xff", "c", "b1\x00"} {
		put(t, s, key(id), id)
	}
	put(t, s, store.Key{Kind: "others", ID: "b3"}, "x")
	for _, row := range []struct {
		prefix, after string
		limit         int
		want          []string
	}{
		{"", "", 10, []string{"a", "b", "b1", "b1\x00", "b2", "c", "\xff"}},
		{"b", "", 10, []string{"b", "b1", "b1\x00", "b2"}},
		{"b", "b1", 10, []string{"b1\x00", "b2"}},
		{"b", "b1", 1, []string{"b1\x00"}},
		{"b", "a", 1, []string{"b"}},
		{"b", "b2", 10, nil},
		{"b", "x", 10, nil},
		{"\xff", "", 10, []string{"\xff"}},
		{"none", "", 10, nil},
	} {
		page, err := s.List(t.Context(), key(row.prefix), row.after, row.limit)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(row.want, ids(page)); diff != "" {
			t.Errorf("List(%q, after %q, limit %d) (-want +got):\n%s", row.prefix, row.after, row.limit, diff)
		}
	}
}

func pagesHoldEachRecordOnce(t *testing.T, b Backend) {
	s := b.Open(t)
	const n = 25
	for i := range n {
		put(t, s, numbered(i), strconv.Itoa(i))
	}
	after, seen := "", 0
	for {
		page, err := s.List(t.Context(), key(""), after, 4)
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range page.Records {
			if rec.Key != numbered(seen) || string(rec.Value) != strconv.Itoa(seen) {
				t.Fatalf("record %d is %v", seen, rec)
			}
			after = rec.Key.ID
			seen++
		}
		if len(page.Records) < 4 {
			break
		}
	}
	if seen != n {
		t.Errorf("%d records, want %d", seen, n)
	}
}

func recordsSurviveReopening(t *testing.T, b Backend) {
	s := b.Open(t)
	revision := put(t, s, key("a"), "1")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = b.Open(t)
	if rec := wantValue(t, s, key("a"), "1"); rec.Revision != revision {
		t.Errorf("revision = %d, want %d", rec.Revision, revision)
	}
	if next := put(t, s, key("a"), "2"); next <= revision {
		t.Errorf("revision %d after %d", next, revision)
	}
}

func incrementsAreNotLost(t *testing.T, b Backend) {
	s := b.Open(t)
	put(t, s, key("n"), "0")
	const workers, each = 8, 10
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				if err := increment(t.Context(), s); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	wantValue(t, s, key("n"), strconv.Itoa(workers*each))
}

// increment adds one by compare-and-swap, as often as it takes.
func increment(ctx context.Context, s store.Store) error {
	for {
		rec, err := s.Get(ctx, key("n"))
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(rec.Value))
		if err != nil {
			return err
		}
		_, err = s.Commit(ctx, store.Put(key("n"), []byte(strconv.Itoa(n+1)), rec.Revision))
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

func thousandChanges(t *testing.T, b Backend) {
	s := b.Open(t)
	var ops []store.Op
	for i := range 1000 {
		ops = append(ops, store.Put(numbered(i), []byte("x"), store.Absent))
	}
	revision := commit(t, s, ops...)
	page, err := s.List(t.Context(), key(""), "", 2000)
	if err != nil || len(page.Records) != 1000 {
		t.Fatalf("%d records, %v; want 1000", len(page.Records), err)
	}
	for _, rec := range page.Records {
		if rec.Revision != revision {
			t.Fatalf("a record has revision %d, want %d", rec.Revision, revision)
		}
	}
}

func largeValue(t *testing.T, b Backend) {
	s := b.Open(t)
	value := bytes.Repeat([]byte("0123456789abcdef"), 8<<10) // 128 KiB
	commit(t, s, store.Put(key("a"), value, store.Any))
	wantValue(t, s, key("a"), string(value))
}

func endedContextDoesNothing(t *testing.T, b Backend) {
	s := b.Open(t)
	put(t, s, key("a"), "1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Get(ctx, key("a"))
	wantError(t, err, context.Canceled)
	_, err = s.List(ctx, key(""), "", 1)
	wantError(t, err, context.Canceled)
	_, err = s.Commit(ctx, store.Put(key("a"), []byte("2"), store.Any))
	wantError(t, err, context.Canceled)
	_, _, err = s.Lock(ctx, "l")
	wantError(t, err, context.Canceled)
	wantValue(t, s, key("a"), "1")
}

func closedStoreSaysSo(t *testing.T, b Backend) {
	s := b.Open(t)
	put(t, s, key("a"), "1")
	wantValue(t, s, key("a"), "1")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := s.Get(t.Context(), key("a"))
	wantError(t, err, store.ErrClosed)
	_, err = s.List(t.Context(), key(""), "", 1)
	wantError(t, err, store.ErrClosed)
	_, err = s.Commit(t.Context(), store.Put(key("a"), nil, store.Any))
	wantError(t, err, store.ErrClosed)
	_, _, err = s.Lock(t.Context(), "l")
	wantError(t, err, store.ErrClosed)
	for _, err := range s.Watch(t.Context(), key(""), 0) {
		wantError(t, err, store.ErrClosed)
	}
}
