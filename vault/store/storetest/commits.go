package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tokenvault/tokenvault/vault/store"
)

// atOnce is how many commit at the same time in the cases below.
const atOnce = 64

// outcome is what a Commit has returned.
type outcome struct {
	revision store.Revision
	err      error
}

// commitAtOnce makes Commits of several goroutines at the same time, and returns
// what came of each.
func commitAtOnce(ctx context.Context, s store.Store, n int, ops func(i int) []store.Op) []outcome {
	outcomes := make([]outcome, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			outcomes[i].revision, outcomes[i].err = s.Commit(ctx, ops(i)...)
		})
	}
	close(start)
	wg.Wait()
	return outcomes
}

func manyCommitAtOnce(t *testing.T, b Backend) {
	s := b.Open(t)
	one := func(i int) store.Key { return key(fmt.Sprintf("one-%d", i)) }
	two := func(i int) store.Key { return key(fmt.Sprintf("two-%d", i)) }
	outcomes := commitAtOnce(t.Context(), s, atOnce, func(i int) []store.Op {
		return []store.Op{store.Put(one(i), []byte("1"), store.Absent), store.Put(two(i), []byte("2"), store.Any)}
	})
	revisions := make(map[store.Revision]int)
	for i, o := range outcomes {
		if o.err != nil {
			t.Fatalf("commit %d: %v", i, o.err)
		}
		if other, twice := revisions[o.revision]; twice {
			t.Errorf("commits %d and %d have the same revision, %d", other, i, o.revision)
		}
		revisions[o.revision] = i
		for k, value := range map[store.Key]string{one(i): "1", two(i): "2"} {
			if rec := wantValue(t, s, k, value); rec.Revision != o.revision {
				t.Errorf("%s has revision %d, want that of its commit, %d", k.ID, rec.Revision, o.revision)
			}
		}
	}
	last := store.Revision(0)
	for _, event := range watched(t, s, key(""), 0, 2*atOnce) {
		if event.Revision < last {
			t.Errorf("an event of revision %d after one of %d", event.Revision, last)
		}
		last = event.Revision
	}
}

func oneOfManyWins(t *testing.T, b Backend) {
	s := b.Open(t)
	expected := store.Absent
	for round := range 5 {
		outcomes := commitAtOnce(t.Context(), s, atOnce, func(i int) []store.Op {
			return []store.Op{store.Put(key("prize"), fmt.Append(nil, round, i), expected)}
		})
		winners := 0
		for i, o := range outcomes {
			switch {
			case o.err == nil:
				winners++
				expected = o.revision
				wantValue(t, s, key("prize"), fmt.Sprint(round, i))
			case !errors.Is(o.err, store.ErrConflict):
				t.Errorf("commit %d: %v, want success or ErrConflict", i, o.err)
			}
		}
		if winners != 1 {
			t.Fatalf("%d commits won, want 1", winners)
		}
	}
}

func allOrNothingAtOnce(t *testing.T, b Backend) {
	s := b.Open(t)
	own := func(i int) store.Key { return key(fmt.Sprintf("own-%d", i)) }
	contested := func(i int) store.Key { return key(fmt.Sprintf("contested-%d", i/8)) }
	outcomes := commitAtOnce(t.Context(), s, atOnce, func(i int) []store.Op {
		return []store.Op{store.Put(own(i), []byte("x"), store.Any), store.Put(contested(i), []byte("x"), store.Absent)}
	})
	winners := 0
	for i, o := range outcomes {
		_, err := s.Get(t.Context(), own(i))
		if o.err == nil {
			winners++
			wantError(t, err, nil)
			continue
		}
		wantError(t, o.err, store.ErrConflict)
		wantError(t, err, store.ErrNotFound)
	}
	if winners != atOnce/8 {
		t.Errorf("%d commits won, want %d", winners, atOnce/8)
	}
}

func refusedHarmsNone(t *testing.T, b Backend) {
	s := b.Open(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	held, release := lock(t, s, "l")
	release()
	put(t, s, key("taken"), "1")
	rows := []struct {
		ctx  context.Context
		also []store.Op
		want error
	}{
		{t.Context(), nil, nil},
		{ended, nil, context.Canceled},
		{context.WithoutCancel(held), nil, store.ErrLockLost},
		{t.Context(), []store.Op{store.Put(key("taken"), []byte("2"), store.Absent)}, store.ErrConflict},
	}
	var wg sync.WaitGroup
	for i := range atOnce {
		wg.Go(func() {
			row := rows[i%len(rows)]
			_, err := s.Commit(row.ctx, append([]store.Op{store.Put(numbered(i), []byte("x"), store.Any)}, row.also...)...)
			wantError(t, err, row.want)
			if _, err = s.Get(t.Context(), numbered(i)); (err == nil) != (row.want == nil) {
				t.Errorf("after a commit that was to end with %v: Get = %v", row.want, err)
			}
		})
	}
	wg.Wait()
	wantValue(t, s, key("taken"), "1")
}

func closeWaitsForCommits(t *testing.T, b Backend) {
	s := b.Open(t)
	put(t, s, key("a"), "1")
	outcomes := commitAtOnce(t.Context(), s, atOnce, func(i int) []store.Op {
		if i == atOnce/2 {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		return []store.Op{store.Put(numbered(i), []byte("x"), store.Any)}
	})
	s = b.Open(t)
	for i, o := range outcomes {
		_, err := s.Get(t.Context(), numbered(i))
		switch {
		case o.err == nil:
			wantError(t, err, nil)
		case errors.Is(o.err, store.ErrClosed):
			wantError(t, err, store.ErrNotFound)
		default:
			t.Errorf("commit %d: %v, want success or ErrClosed", i, o.err)
		}
	}
}

// readWhile calls read from several goroutines until the work is done.
func readWhile(read func(), work func()) {
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					read()
				}
			}
		})
	}
	work()
	close(done)
	readers.Wait()
}

func readersAreUpToDate(t *testing.T, b Backend) {
	s := b.Open(t)
	var returned atomic.Int64 // the newest revision that a Commit has returned
	returned.Store(int64(put(t, s, key("a"), "x")))
	readWhile(func() {
		before := store.Revision(returned.Load())
		rec, err := s.Get(t.Context(), key("a"))
		if err != nil || rec.Revision < before {
			t.Errorf("Get = revision %d, %v; want %d or a newer one", rec.Revision, err, before)
		}
		again, err := s.Get(t.Context(), key("a"))
		if err != nil || again.Revision < rec.Revision {
			t.Errorf("Get = revision %d, %v; it was %d already", again.Revision, err, rec.Revision)
		}
	}, func() {
		for range 100 {
			returned.Store(int64(put(t, s, key("a"), "x")))
		}
	})
}

func watchedCanBeRead(t *testing.T, b Backend) {
	s := b.Open(t)
	put(t, s, key("a"), "x")
	readWhile(func() { _, _ = s.Get(t.Context(), key("a")) }, func() {
		const n = 100
		go func() {
			for range n {
				if _, err := s.Commit(t.Context(), store.Put(key("a"), []byte("x"), store.Any)); err != nil {
					t.Error(err)
				}
			}
		}()
		seen := 0
		for event, err := range s.Watch(t.Context(), key(""), 0) {
			if err != nil {
				t.Error(err)
				return
			}
			rec, err := s.Get(t.Context(), key("a"))
			if err != nil || rec.Revision < event.Revision {
				t.Errorf("Get = revision %d, %v; want %d or a newer one", rec.Revision, err, event.Revision)
			}
			if seen++; seen > n {
				return
			}
		}
	})
}
