package boltstore

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/tokenvault/tokenvault/vault/store"
)

// locks are the named locks of the one process that has the file open.
type locks struct {
	mu   sync.Mutex
	byID map[string]*lock
}

// lock is one name's. Its channel holds a token while nobody holds the lock.
type lock struct {
	free    chan struct{}
	waiting int // holders and waiters; the entry goes when there are none
}

func newLocks() locks {
	return locks{byID: make(map[string]*lock)}
}

// heldKey leads from a lock's context, and those derived from it, to its hold.
type heldKey struct{}

// hold is one holding of a lock. Its own flag says whether it is lost: a context's
// cause may be another's end.
type hold struct{ lost atomic.Bool }

// Lock implements store.Store.
func (s *Store) Lock(ctx context.Context, name string) (context.Context, func(), error) {
	l := s.locks.join(name)
	if err := l.take(ctx, s.closed); err != nil {
		s.locks.leave(name, l)
		return nil, nil, err
	}
	held, cancel := context.WithCancelCause(ctx)
	h := new(hold)
	held = context.WithValue(held, heldKey{}, h)
	lose := func() {
		h.lost.Store(true)
		cancel(store.ErrLockLost)
	}
	stop := make(chan struct{})
	go func() {
		select {
		case <-s.closed:
			lose()
		case <-stop:
		}
	}()
	var once sync.Once
	release := func() {
		once.Do(func() {
			close(stop)
			lose()
			l.free <- struct{}{}
			s.locks.leave(name, l)
		})
	}
	return held, release, nil
}

// take waits for the lock. A context that has ended and a closed store come
// first, where the lock is free as well.
func (l *lock) take(ctx context.Context, closed <-chan struct{}) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-closed:
		return store.ErrClosed
	case <-l.free:
	}
	select {
	case <-ctx.Done():
		l.free <- struct{}{}
		return ctx.Err()
	case <-closed:
		l.free <- struct{}{}
		return store.ErrClosed
	default:
		return nil
	}
}

func (ls *locks) join(name string) *lock {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l, ok := ls.byID[name]
	if !ok {
		l = &lock{free: make(chan struct{}, 1)}
		l.free <- struct{}{}
		ls.byID[name] = l
	}
	l.waiting++
	return l
}

func (ls *locks) leave(name string, l *lock) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l.waiting--; l.waiting == 0 {
		delete(ls.byID, name)
	}
}

// lockError returns ErrLockLost for the context of a lock that is held no more.
func lockError(ctx context.Context) error {
	if h, ok := ctx.Value(heldKey{}).(*hold); ok && h.lost.Load() {
		return store.ErrLockLost
	}
	return nil
}
