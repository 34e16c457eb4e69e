package storetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/tokenvault/tokenvault/vault/store"
)

func lock(t *testing.T, s store.Store, name string) (context.Context, func()) {
	t.Helper()
	held, release, err := s.Lock(t.Context(), name)
	if err != nil {
		t.Fatalf("Lock: %v", err)
	}
	return held, release
}

func lockExcludes(t *testing.T, b Backend) {
	s := b.Open(t)
	var inside, most, total int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, release, err := s.Lock(t.Context(), "l")
			if err != nil {
				t.Error(err)
				return
			}
			defer release()
			mu.Lock()
			inside++
			most = max(most, inside)
			total++
			mu.Unlock()
			put(t, s, key("a"), "x") // something that takes a while
			mu.Lock()
			inside--
			mu.Unlock()
		})
	}
	wg.Wait()
	if most != 1 || total != 20 {
		t.Errorf("%d held the lock at once, %d in all; want 1 and 20", most, total)
	}
}

func lockHonoursContext(t *testing.T, b Backend) {
	s := b.Open(t)
	held, release := lock(t, s, "l")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, _, err := s.Lock(ctx, "l")
	wantError(t, err, context.DeadlineExceeded)
	if held.Err() != nil {
		t.Error("the holder lost the lock to one who gave up")
	}
	release()
	release() // more than once does no harm
	if held.Err() == nil {
		t.Error("the context goes on after the release")
	}
	wantError(t, context.Cause(held), store.ErrLockLost)
	_, release = lock(t, s, "l")
	release()
}

func lockIsLostOnClose(t *testing.T, b Backend) {
	s := b.Open(t)
	held, release := lock(t, s, "l")
	defer release()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	<-held.Done()
	wantError(t, context.Cause(held), store.ErrLockLost)
}

func lostLockCommitsNothing(t *testing.T, b Backend) {
	s := b.Open(t)
	held, release := lock(t, s, "l")
	if _, err := s.Commit(held, store.Put(key("a"), []byte("1"), store.Any)); err != nil {
		t.Fatalf("a commit under the lock: %v", err)
	}
	release()
	_, err := s.Commit(context.WithoutCancel(held), store.Put(key("a"), []byte("2"), store.Any))
	wantError(t, err, store.ErrLockLost)
	_, err = s.Commit(held, store.Put(key("a"), []byte("2"), store.Any))
	wantError(t, err, store.ErrLockLost)
	wantValue(t, s, key("a"), "1")
}

// releasedAfterItsParentCommitsNothing: the end of the parent is the context's
// cause for ever, but the lock is lost with its release all the same.
func releasedAfterItsParentCommitsNothing(t *testing.T, b Backend) {
	s := b.Open(t)
	parent, cancel := context.WithCancel(t.Context())
	held, release, err := s.Lock(parent, "l")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := s.Commit(context.WithoutCancel(held), store.Put(key("a"), []byte("1"), store.Any)); err != nil {
		t.Errorf("a commit under the lock, whose parent has ended: %v", err)
	}
	release()
	_, err = s.Commit(context.WithoutCancel(held), store.Put(key("a"), []byte("2"), store.Any))
	wantError(t, err, store.ErrLockLost)
	wantValue(t, s, key("a"), "1")
}

func otherLocksDoNotWait(t *testing.T, b Backend) {
	s := b.Open(t)
	_, releaseA := lock(t, s, "a")
	_, releaseB := lock(t, s, "b")
	releaseB()
	releaseA()
}
