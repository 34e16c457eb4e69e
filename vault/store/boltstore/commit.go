package boltstore

import (
	"context"
	"errors"
	"runtime"
	"sync"

	bolt "go.etcd.io/bbolt"

	"github.com/tokenvault/tokenvault/vault/store"
)

// maxBatch is how many Commits share a transaction at most, which bounds how
// long the first of them waits for the last.
const maxBatch = 256

// errAbandoned answers those whose transaction ended in a panic.
var errAbandoned = errors.New("boltstore: commit: the transaction was abandoned")

// commit is one Commit on its way into the file.
type commit struct {
	ctx  context.Context
	ops  []store.Op
	done chan struct{} // closed when what follows is final

	revision store.Revision
	err      error
}

// queue gathers Commits, so that those that come while one transaction is being
// written share the next, and its syncs of the file. There is no goroutine
// behind it: whoever gets the turn writes for all who wait.
type queue struct {
	turn chan struct{} // holds a token while somebody writes
	// limit is maxBatch, but in benchmarks.
	limit int
	// shared says that the last transaction was that of several. Whoever has
	// the turn may use it.
	shared bool

	mu      sync.Mutex
	waiting []*commit
	closed  bool
}

func newQueue() *queue {
	return &queue{turn: make(chan struct{}, 1), limit: maxBatch}
}

// add reports whether the queue is still open.
func (q *queue) add(c *commit) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.waiting = append(q.waiting, c)
	return true
}

// take removes the Commits of the next transaction, in the order they came in.
func (q *queue) take() []*commit {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.waiting), q.limit)
	batch := q.waiting[:n:n]
	if q.waiting = q.waiting[n:]; len(q.waiting) == 0 {
		q.waiting = nil
	}
	return batch
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, ops ...store.Op) (store.Revision, error) {
	if err := checkOps(ops); err != nil {
		return 0, err
	}
	if err := refusal(ctx); err != nil {
		return 0, err
	}
	c := &commit{ctx: ctx, ops: ops, done: make(chan struct{})}
	if !s.queue.add(c) {
		return 0, store.ErrClosed
	}
	for {
		select {
		case <-c.done:
			return c.revision, c.err
		case s.queue.turn <- struct{}{}:
			s.takeTurn()
		}
	}
}

// takeTurn writes one transaction, and passes the turn on. Where several have
// just been answered, the others are about to come again: it lets them run
// first, rather than write alone and have them wait. One alone never waits.
func (s *Store) takeTurn() {
	defer func() { <-s.queue.turn }()
	if s.queue.shared {
		runtime.Gosched()
	}
	batch := s.queue.take()
	s.queue.shared = len(batch) > 1
	s.write(batch)
}

// drain writes what is still waiting. It keeps the turn: nobody writes after it.
func (s *Store) drain() {
	s.queue.close()
	s.queue.turn <- struct{}{}
	for batch := s.queue.take(); len(batch) > 0; batch = s.queue.take() {
		s.write(batch)
	}
}

// write puts a batch into one transaction, and answers everyone in it, in the
// case of a panic too. A fault of the medium is everyone's answer, conflicts
// included: they may be with changes that have come to nothing.
func (s *Store) write(batch []*commit) {
	if len(batch) == 0 {
		return // another has written for this one
	}
	s.recent.changing(batch)
	fault := errAbandoned
	defer func() {
		s.recent.changed()
		for _, c := range batch {
			if fault != nil {
				c.revision, c.err = 0, fault
			}
			close(c.done)
		}
	}()
	if fault = wrap("commit", s.update(batch)); fault == nil {
		s.changes.send()
	}
}

// errNothing takes a transaction back in which nothing was changed.
var errNothing = errors.New("boltstore: nothing to write")

func (s *Store) update(batch []*commit) error {
	err := s.db.Update(func(tx *bolt.Tx) error {
		written := false
		for _, c := range batch {
			if err := c.execute(tx, s.watched); err != nil {
				return err
			}
			written = written || c.revision > 0
		}
		if !written {
			return errNothing
		}
		return trimHistory(tx)
	})
	if errors.Is(err, errNothing) {
		return nil
	}
	return err
}

// execute applies one Commit to what those before it have left. What it finds
// before it changes anything goes to c.err and concerns nobody else; what it
// returns is the end of the transaction.
func (c *commit) execute(tx *bolt.Tx, watched kinds) error {
	if c.err = refusal(c.ctx); c.err != nil {
		return nil
	}
	for _, op := range c.ops {
		if err := expect(tx, op); err != nil {
			c.err = wrap("commit", err)
			return nil
		}
	}
	revision, err := nextRevision(tx)
	if err != nil {
		return err
	}
	for _, op := range c.ops {
		if err := watched.apply(tx, op, revision); err != nil {
			return err
		}
	}
	c.revision = revision
	return nil
}

// refusal returns the reason why nothing may be committed with a context.
func refusal(ctx context.Context) error {
	if err := lockError(ctx); err != nil {
		return err
	}
	return ctx.Err()
}
