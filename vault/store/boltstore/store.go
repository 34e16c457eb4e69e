package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/tokenvault/tokenvault/vault/store"
)

// Store is a store.Store on one bbolt file.
type Store struct {
	db      *bolt.DB // written by the queue alone
	queue   *queue
	recent  *recent
	locks   locks
	changes broadcast
	watched kinds

	closeOnce sync.Once
	closed    chan struct{}
	closeErr  error
}

var _ store.Store = (*Store)(nil)

// kinds is a set of kinds. It is not changed once it is made.
type kinds map[store.Kind]bool

func newStore(db *bolt.DB, watched []store.Kind) *Store {
	set := make(kinds, len(watched))
	for _, kind := range watched {
		set[kind] = true
	}
	return &Store{db: db, watched: set, queue: newQueue(), recent: newRecent(), locks: newLocks(), changes: newBroadcast(), closed: make(chan struct{})}
}

// revisionSize is the length of the revision before every value, in bytes.
const revisionSize = 8

// The longest ID and kind, in bytes. The history has one byte for the length of
// a kind.
const (
	maxID   = 256
	maxKind = 255
)

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key store.Key) (store.Record, error) {
	if err := ctx.Err(); err != nil {
		return store.Record{}, err
	}
	held, ok, era := s.recent.get(key)
	if ok && !s.isClosed() {
		return store.Record{Key: key, Value: []byte(held.value), Revision: held.revision}, nil
	}
	rec := store.Record{Key: key}
	err := s.view(func(tx *bolt.Tx) error {
		bucket := tx.Bucket([]byte(key.Kind))
		if bucket == nil {
			return store.ErrNotFound
		}
		stored := bucket.Get([]byte(key.ID))
		if stored == nil {
			return store.ErrNotFound
		}
		return read(&rec, stored)
	})
	if err != nil {
		return store.Record{}, err
	}
	s.recent.put(rec, era)
	return rec, nil
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, prefix store.Key, after string, limit int) (store.Page, error) {
	if err := ctx.Err(); err != nil {
		return store.Page{}, err
	}
	if limit <= 0 {
		return store.Page{}, errors.New("boltstore: the limit of a list must be positive")
	}
	var page store.Page
	err := s.view(func(tx *bolt.Tx) error {
		page.Revision = revisionOf(tx)
		bucket := tx.Bucket([]byte(prefix.Kind))
		if bucket == nil {
			return nil
		}
		c := bucket.Cursor()
		for id, stored := seekAfter(c, prefix.ID, after); id != nil && bytes.HasPrefix(id, []byte(prefix.ID)); id, stored = c.Next() {
			if len(page.Records) == limit {
				return nil
			}
			rec := store.Record{Key: store.Key{Kind: prefix.Kind, ID: string(id)}}
			if err := read(&rec, stored); err != nil {
				return err
			}
			page.Records = append(page.Records, rec)
		}
		return nil
	})
	return page, err
}

// seekAfter goes to the first ID that has the prefix, or comes after it, and is
// greater than after.
func seekAfter(c *bolt.Cursor, prefix, after string) (id, value []byte) {
	id, value = c.Seek([]byte(max(prefix, after)))
	if after != "" && string(id) == after {
		return c.Next()
	}
	return id, value
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		close(s.closed)
		s.drain()
		s.closeErr = s.db.Close()
	})
	return s.closeErr
}

func (s *Store) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

func (s *Store) view(read func(*bolt.Tx) error) error {
	return wrap("read", s.db.View(read))
}

// wrap turns bbolt's errors into the contract's.
func wrap(doing string, err error) error {
	switch {
	case err == nil, errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrCompacted):
		return err
	case errors.Is(err, bolterrors.ErrDatabaseNotOpen):
		return store.ErrClosed
	default:
		return fmt.Errorf("boltstore: %s: %w", doing, err)
	}
}

func checkOps(ops []store.Op) error {
	if len(ops) == 0 {
		return errors.New("boltstore: a commit needs at least one change")
	}
	seen := make(map[store.Key]struct{}, len(ops))
	for _, op := range ops {
		if err := checkKey(op.Key); err != nil {
			return err
		}
		if _, twice := seen[op.Key]; twice {
			return fmt.Errorf("boltstore: a commit names a record of kind %s twice", op.Key.Kind)
		}
		seen[op.Key] = struct{}{}
	}
	return nil
}

func checkKey(key store.Key) error {
	if key.Kind == "" {
		return errors.New("boltstore: a record needs a kind")
	}
	if len(key.Kind) > maxKind {
		return fmt.Errorf("boltstore: a kind has at most %d bytes", maxKind)
	}
	for _, c := range []byte(key.Kind) {
		if (c < 'a' || c > 'z') && c != '-' {
			return fmt.Errorf("boltstore: kind %q has other characters than a-z and '-'", key.Kind)
		}
	}
	if key.ID == "" || len(key.ID) > maxID {
		return fmt.Errorf("boltstore: an ID has 1 to %d bytes", maxID)
	}
	return nil
}

func expect(tx *bolt.Tx, op store.Op) error {
	if op.Expect == store.Any {
		return nil
	}
	current := store.Absent
	if bucket := tx.Bucket([]byte(op.Key.Kind)); bucket != nil {
		if stored := bucket.Get([]byte(op.Key.ID)); stored != nil {
			if len(stored) < revisionSize {
				return errShort
			}
			current = store.Revision(binary.BigEndian.Uint64(stored))
		}
	}
	if current != op.Expect {
		return store.ErrConflict
	}
	return nil
}

func (watched kinds) apply(tx *bolt.Tx, op store.Op, revision store.Revision) error {
	bucket, err := tx.CreateBucketIfNotExists([]byte(op.Key.Kind))
	if err != nil {
		return err
	}
	if op.IsDelete() {
		if bucket.Get([]byte(op.Key.ID)) == nil {
			return nil // nothing changes, so there is no event
		}
		err = bucket.Delete([]byte(op.Key.ID))
	} else {
		value := binary.BigEndian.AppendUint64(make([]byte, 0, revisionSize+len(op.Value)), uint64(revision))
		err = bucket.Put([]byte(op.Key.ID), append(value, op.Value...))
	}
	if err != nil || !watched[op.Key.Kind] {
		return err
	}
	return addHistory(tx, op, revision)
}

var errShort = errors.New("a value is too short: the file is damaged")

// read copies a stored value out of its transaction.
func read(rec *store.Record, stored []byte) error {
	if len(stored) < revisionSize {
		return errShort
	}
	rec.Revision = store.Revision(binary.BigEndian.Uint64(stored))
	rec.Value = bytes.Clone(stored[revisionSize:])
	if rec.Value == nil {
		rec.Value = []byte{}
	}
	return nil
}
