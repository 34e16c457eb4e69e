package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"strings"
	"sync"

	bolt "go.etcd.io/bbolt"

	"github.com/tokenvault/tokenvault/vault/store"
)

// Retention is how many changes of watched kinds are kept, for a Watch to begin
// with. At some hundred bytes each, this is a MiB of file.
const Retention = 10_000

// The history has an entry for every change of a watched kind. Its key is the
// revision and the entry's number, counted over all entries that there ever were:
// so the first and the last key tell how many there are. Its value is whether the
// record was deleted, the length of its kind, its kind and its ID.

// nextRevision counts the commits of the file.
func nextRevision(tx *bolt.Tx) (store.Revision, error) {
	n, err := tx.Bucket([]byte(metaBucket)).NextSequence()
	return store.Revision(n), err
}

func revisionOf(tx *bolt.Tx) store.Revision {
	return store.Revision(tx.Bucket([]byte(metaBucket)).Sequence())
}

const (
	wasPut    = 'p'
	wasDelete = 'd'
)

func addHistory(tx *bolt.Tx, op store.Op, revision store.Revision) error {
	history := tx.Bucket([]byte(historyBucket))
	number, err := history.NextSequence()
	if err != nil {
		return err
	}
	key := binary.BigEndian.AppendUint64(nil, uint64(revision))
	key = binary.BigEndian.AppendUint64(key, number)
	what := byte(wasPut)
	if op.IsDelete() {
		what = wasDelete
	}
	value := append([]byte{what, byte(len(op.Key.Kind))}, op.Key.Kind...)
	return history.Put(key, append(value, op.Key.ID...))
}

// entryAt reads a key of the history.
func entryAt(key []byte) (revision store.Revision, number uint64) {
	return store.Revision(binary.BigEndian.Uint64(key)), binary.BigEndian.Uint64(key[8:])
}

// trimHistory forgets the oldest revisions, each as a whole, until the rest is
// within the retention. The newest stays, whatever its size, so that a history
// that has begun is never empty.
func trimHistory(tx *bolt.Tx) error {
	history := tx.Bucket([]byte(historyBucket))
	c := history.Cursor()
	key, _ := c.Last()
	if key == nil {
		return nil
	}
	newest, last := entryAt(key)
	trimmed := store.Revision(0)
	for {
		key, _ := c.First()
		revision, number := entryAt(key)
		if revision == newest || last-number < Retention && revision != trimmed {
			return nil
		}
		trimmed = revision
		if err := c.Delete(); err != nil {
			return err
		}
	}
}

// reaches reports whether the history has everything after a revision. Once
// something was forgotten, it is taken to reach just to its first entry.
func reaches(tx *bolt.Tx, from store.Revision) bool {
	key, _ := tx.Bucket([]byte(historyBucket)).Cursor().First()
	if key == nil {
		return true
	}
	first, number := entryAt(key)
	return number == 1 || from >= first-1
}

// upgradeHistory begins a new history in a file of the time when all kinds had
// one, and the history's entries counted the commits. Its first entry is of no
// kind; it marks that there was something before.
func upgradeHistory(tx *bolt.Tx) error {
	commits := tx.Bucket([]byte(historyBucket)).Sequence()
	if tx.Bucket([]byte(metaBucket)).Sequence() > 0 || commits == 0 {
		return nil
	}
	if err := tx.DeleteBucket([]byte(historyBucket)); err != nil {
		return err
	}
	history, err := tx.CreateBucket([]byte(historyBucket))
	if err != nil {
		return err
	}
	if err := errors.Join(history.SetSequence(1), tx.Bucket([]byte(metaBucket)).SetSequence(commits)); err != nil {
		return err
	}
	revision, err := nextRevision(tx)
	if err != nil {
		return err
	}
	return addHistory(tx, store.Op{}, revision)
}

// watchBatch is how many events are read in one transaction, and watchScan how
// many entries are looked at for them, up to the end of a revision: as long as it
// lasts, the pages that it sees cannot be used again.
const (
	watchBatch = 256
	watchScan  = 4096
)

// Watch implements store.Store.
func (s *Store) Watch(ctx context.Context, prefix store.Key, from store.Revision) iter.Seq2[store.Event, error] {
	return func(yield func(store.Event, error) bool) {
		for {
			changed := s.changes.wait() // before reading, so that nothing is missed between
			batch, err := s.eventsAfter(ctx, prefix, from)
			if err != nil {
				yield(store.Event{}, err)
				return
			}
			for _, event := range batch.events {
				if !yield(event, nil) {
					return
				}
			}
			if from = batch.reached; batch.more {
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

// batch is a part of what a watcher is to see. It ends with a whole revision.
type batch struct {
	events  []store.Event
	reached store.Revision // what lies up to it is in events
	more    bool           // entries that were not looked at
}

func (s *Store) eventsAfter(ctx context.Context, prefix store.Key, from store.Revision) (b batch, err error) {
	if err := ctx.Err(); err != nil {
		return batch{}, err
	}
	if !s.watched[prefix.Kind] {
		return batch{}, store.ErrUnwatched
	}
	err = s.view(func(tx *bolt.Tx) error {
		b.reached = revisionOf(tx)
		from = max(from, 0)
		if from > b.reached || !reaches(tx, from) {
			return store.ErrCompacted
		}
		last, scanned := from, 0
		c := tx.Bucket([]byte(historyBucket)).Cursor()
		for key, value := c.Seek(binary.BigEndian.AppendUint64(nil, uint64(from+1))); key != nil; key, value = c.Next() {
			revision, _ := entryAt(key)
			if (len(b.events) >= watchBatch || scanned >= watchScan) && revision != last {
				b.reached, b.more = last, true
				return nil
			}
			last = revision
			scanned++
			if event, ok := eventOf(value, revision, prefix); ok {
				b.events = append(b.events, event)
			}
		}
		return nil
	})
	return b, err
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
