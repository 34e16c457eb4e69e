package boltstore_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/tokenvault/tokenvault/vault/store"
	"github.com/tokenvault/tokenvault/vault/store/boltstore"
)

// queued makes one Commit for each context, which wait until release is called;
// outcomes then returns their errors. A panic counts as errPanic.
func queued(t *testing.T, s *boltstore.Store, op func(i int) store.Op, contexts ...context.Context) (release func(), outcomes func() []error) {
	t.Helper()
	release = s.HoldTurn()
	errs := make([]error, len(contexts))
	var wg sync.WaitGroup
	for i, ctx := range contexts {
		wg.Go(func() {
			defer func() {
				if recover() != nil {
					errs[i] = errPanic
				}
			}()
			_, errs[i] = s.Commit(ctx, op(i))
		})
		synctest.Wait() // so that they queue in order
	}
	return release, func() []error {
		wg.Wait()
		return errs
	}
}

var errPanic = errors.New("panic")

func numbered(i int) store.Op {
	return store.Put(store.Key{Kind: "things", ID: fmt.Sprint(i)}, []byte("x"), store.Absent)
}

func wantErrors(t *testing.T, got []error, want ...error) {
	t.Helper()
	for i, err := range got {
		if !errors.Is(err, want[i]) {
			t.Errorf("commit %d: %v, want %v", i, err, want[i])
		}
	}
}

func TestCommitsThatWaitShareOneTransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := backend{filepath.Join(t.TempDir(), "vault.db")}.Open(t).(*boltstore.Store)
		held, releaseLock, err := s.Lock(t.Context(), "l")
		if err != nil {
			t.Fatal(err)
		}
		cancelled, cancel := context.WithCancel(t.Context())
		before := s.Transactions()
		release, outcomes := queued(t, s, func(i int) store.Op { return numbered(i % 4) },
			t.Context(), cancelled, context.WithoutCancel(held), t.Context(), t.Context(), t.Context())
		// What ends while they wait counts.
		cancel()
		releaseLock()
		release()
		wantErrors(t, outcomes(), nil, context.Canceled, store.ErrLockLost, nil, store.ErrConflict, nil)
		if n := s.Transactions() - before; n != 1 {
			t.Errorf("%d transactions, want 1", n)
		}
	})
}

func TestAFaultOfTheMediumIsEveryonesAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := backend{filepath.Join(t.TempDir(), "vault.db")}.Open(t).(*boltstore.Store)
		before, err := s.Commit(t.Context(), numbered(0))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(t.Context(), numbered(0).Key); err != nil {
			t.Fatal(err)
		}
		large := make([]byte, 64<<10)
		release, outcomes := queued(t, s, func(i int) store.Op {
			op := numbered(i % 2)
			op.Value, op.Expect = large, store.Any
			return op
		}, t.Context(), t.Context(), t.Context())
		s.ForbidGrowth()
		release()
		wantErrors(t, outcomes(), bolterrors.ErrMaxSizeReached, bolterrors.ErrMaxSizeReached, bolterrors.ErrMaxSizeReached)
		if rec, err := s.Get(t.Context(), numbered(0).Key); err != nil || rec.Revision != before || len(rec.Value) != 1 {
			t.Errorf("Get = %d bytes of revision %d, %v; want what was there before", len(rec.Value), rec.Revision, err)
		}
		if _, err := s.Get(t.Context(), numbered(1).Key); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Get = %v, want ErrNotFound", err)
		}
	})
}

// panicky panics when it is asked the second time: when its Commit is executed.
type panicky struct {
	context.Context
	asked *atomic.Int32
}

func (p panicky) Err() error {
	if p.asked.Add(1) > 1 {
		panic("on purpose")
	}
	return nil
}

func TestAPanicLeavesNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := backend{filepath.Join(t.TempDir(), "vault.db")}.Open(t).(*boltstore.Store)
		release, outcomes := queued(t, s, numbered, t.Context(), panicky{t.Context(), new(atomic.Int32)}, t.Context())
		release()
		panics := 0
		for i, err := range outcomes() {
			if err == nil {
				t.Errorf("commit %d succeeded", i)
			}
			if errors.Is(err, errPanic) {
				panics++
			}
		}
		if panics != 1 {
			t.Errorf("%d panics, want 1", panics)
		}
		if _, err := s.Commit(t.Context(), numbered(0)); err != nil {
			t.Errorf("a commit afterwards: %v", err)
		}
	})
}

func TestCloseFinishesWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := backend{filepath.Join(t.TempDir(), "vault.db")}.Open(t).(*boltstore.Store)
		s.ShareTransactions(2) // several transactions are needed
		release, outcomes := queued(t, s, numbered, t.Context(), t.Context(), t.Context(), t.Context(), t.Context())
		closed := make(chan error)
		go func() { closed <- s.Close() }()
		synctest.Wait()
		if _, err := s.Commit(t.Context(), numbered(9)); !errors.Is(err, store.ErrClosed) {
			t.Errorf("a commit after Close was called: %v, want ErrClosed", err)
		}
		release()
		if err := <-closed; err != nil {
			t.Error(err)
		}
		wantErrors(t, outcomes(), nil, nil, nil, nil, nil)
	})
}

// BenchmarkCommit alternates between Commits that share transactions and Commits
// with one each, and reports the ratio of their speeds.
func BenchmarkCommit(b *testing.B) {
	for _, committers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("%d at once", committers), func(b *testing.B) {
			shared, single := benchStore(b), benchStore(b)
			single.ShareTransactions(1)
			var sharedTime, singleTime time.Duration
			commits, before := 0, shared.Transactions()
			for b.Loop() {
				sharedTime += commitAll(b, shared, committers)
				singleTime += commitAll(b, single, committers)
				commits += committers * eachCommits
			}
			// In the order in which they are printed.
			b.ReportMetric(0, "ns/op") // of both: says nothing
			b.ReportMetric(singleTime.Seconds()/sharedTime.Seconds(), "ratio")
			b.ReportMetric(float64(commits)/sharedTime.Seconds(), "shared-commits/s")
			b.ReportMetric(float64(commits)/float64(shared.Transactions()-before), "shared-commits/transaction")
			b.ReportMetric(float64(commits)/singleTime.Seconds(), "single-commits/s")
		})
	}
}

func benchStore(b *testing.B) *boltstore.Store {
	b.Helper()
	s, err := boltstore.OpenOrCreate(filepath.Join(b.TempDir(), "vault.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

// eachCommits is how many times a committer commits in one go.
const eachCommits = 20

// commitAll returns how long it takes until every committer is done.
func commitAll(b *testing.B, s *boltstore.Store, committers int) time.Duration {
	b.Helper()
	start := time.Now()
	var wg sync.WaitGroup
	for i := range committers {
		wg.Go(func() {
			key := store.Key{Kind: "things", ID: fmt.Sprintf("%048d", i)}
			for range eachCommits {
				if _, err := s.Commit(b.Context(), store.Put(key, make([]byte, 400), store.Any)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}
