package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"iter"
	"strings"
	"sync"

	bolt "go.etcd.io/bbolt"

	"github.com/tokenvault/tokenvault/vault/store"
)

// Retention is how many revisions back a Watch can begin. At some hundred bytes
// each, this is a few MiB of file.
const Retention = 10_000

// The history has an entry for every change: under revision and index within the
// commit, whether the record was deleted, its kind and its ID.

// nextRevision counts the commits of the file.
func nextRevision(tx *bolt.Tx) (store.Revision, error) {
	n, err := tx.Bucket([]byte(historyBucket)).NextSequence()
	return store.Revision(n), err
}

func revisionOf(tx *bolt.Tx) store.Revision {
	return store.Revision(tx.Bucket([]byte(historyBucket)).Sequence())
}

const (
	wasPut    = 'p'
	wasDelete = 'd'
)

func addHistory(tx *bolt.Tx, op store.Op, revision store.Revision, index int) error {
	key := binary.BigEndian.AppendUint64(nil, uint64(revision))
	key = binary.BigEndian.AppendUint32(key, uint32(index))
	what := byte(wasPut)
	if op.IsDelete() {
		what = wasDelete
	}
	value := append([]byte{what, byte(len(op.Key.Kind))}, op.Key.Kind...)
	return tx.Bucket([]byte(historyBucket)).Put(key, append(value, op.Key.ID...))
}

// trimHistory forgets what lies further back than the retention.
func trimHistory(tx *bolt.Tx, revision store.Revision) error {
	oldest := uint64(max(revision-Retention+1, 0))
	c := tx.Bucket([]byte(historyBucket)).Cursor()
	for key, _ := c.First(); key != nil && binary.BigEndian.Uint64(key) < oldest; key, _ = c.First() {
		if err := c.Delete(); err != nil {
			return err
		}
	}
	return nil
}

// watchBatch is how many events are read in one transaction.
const watchBatch = 256

// Watch implements store.Store.
func (s *Store) Watch(ctx context.Context, prefix store.Key, from store.Revision) iter.Seq2[store.Event, error] {
	return func(yield func(store.Event, error) bool) {
		for {
			changed := s.changes.wait() // before reading, so that nothing is missed between
			events, reached, err := s.eventsAfter(ctx, prefix, from)
			if err != nil {
				yield(store.Event{}, err)
				return
			}
			for _, event := range events {
				if !yield(event, nil) {
					return
				}
			}
			if from = reached; len(events) >= watchBatch {
				continue
			}
			select {
			case <-changed:
			case <-ctx.Done():
				yield(store.Event{}, ctx.Err())
				return
			case <-s.closed:
				yield(store.Event{}, store.ErrClosed)
				return
			}
		}
	}
}

// eventsAfter returns a batch of events after a revision, and the revision up to
// which they reach. A batch ends with a whole revision.
func (s *Store) eventsAfter(ctx context.Context, prefix store.Key, from store.Revision) (events []store.Event, reached store.Revision, err error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	err = s.view(func(tx *bolt.Tx) error {
		reached = revisionOf(tx)
		if from < reached-Retention {
			return store.ErrCompacted
		}
		c := tx.Bucket([]byte(historyBucket)).Cursor()
		start := binary.BigEndian.AppendUint64(nil, uint64(from+1))
		for key, value := c.Seek(start); key != nil; key, value = c.Next() {
			revision := store.Revision(binary.BigEndian.Uint64(key))
			if len(events) >= watchBatch && revision != events[len(events)-1].Revision {
				reached = revision - 1
				return nil
			}
			if event, ok := eventOf(value, revision, prefix); ok {
				events = append(events, event)
			}
		}
		return nil
	})
	return events, reached, err
}

func eventOf(value []byte, revision store.Revision, prefix store.Key) (store.Event, bool) {
	what, rest := value[0], value[2:]
	kind, id := rest[:value[1]], string(rest[value[1]:])
	if !bytes.Equal(kind, []byte(prefix.Kind)) || !strings.HasPrefix(id, prefix.ID) {
		return store.Event{}, false
	}
	return store.Event{Key: store.Key{Kind: prefix.Kind, ID: id}, Deleted: what == wasDelete, Revision: revision}, true
}

// broadcast wakes all who wait, whenever something was committed.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{}
}

func newBroadcast() broadcast { return broadcast{ch: make(chan struct{})} }

// wait returns a channel that is closed with the next send.
func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ch
}

func (b *broadcast) send() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.ch)
	b.ch = make(chan struct{})
}
