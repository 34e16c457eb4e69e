// Package store is the one storage interface of the vault: a small, ordered,
// transactional map from keys to sealed bytes.
//
// A backend never sees plaintext. Keys are blind (keyed hashes) and values are
// sealed before they arrive here, so a backend has nothing to hide and nothing
// to encrypt; what it owes is durability, atomicity and order.
//
// The implementation is boltstore, for one process. Every backend passes the
// suite in storetest, which is the interface's meaning in code.
package store

import (
	"context"
	"errors"
	"iter"
)

// Kind names a family of records: a bucket in bbolt. It
// holds lower-case ASCII letters and '-' only.
type Kind string

// Key names one record. ID is raw bytes, at most 256 of them; records of a kind
// are ordered by it, bytewise. An ID may be empty only as a prefix.
type Key struct {
	Kind Kind
	ID   string
}

// Revision orders the commits of one store. Each successful Commit has a higher
// one than every Commit before it; they need not be consecutive.
type Revision int64

const (
	// Absent, as an expectation, demands that the record does not exist.
	Absent Revision = 0
	// Any, as an expectation, accepts whatever is there.
	Any Revision = -1
)

// Record is a stored value and the revision of the Commit that wrote it. Value
// belongs to the caller.
type Record struct {
	Key      Key
	Value    []byte
	Revision Revision
}

// Op is one change of a Commit, made by [Put] or [Delete].
type Op struct {
	Key    Key
	Value  []byte // nil deletes
	Expect Revision
}

// Put returns the Op that writes value, provided that the record's revision is
// expect ([Absent], [Any], or the Revision of a Record read before).
func Put(key Key, value []byte, expect Revision) Op {
	if value == nil {
		value = []byte{}
	}
	return Op{Key: key, Value: value, Expect: expect}
}

// Delete returns the Op that removes a record. With Expect [Any], deleting what
// is not there is not an error.
func Delete(key Key, expect Revision) Op { return Op{Key: key, Expect: expect} }

// IsDelete reports whether the Op removes its record.
func (o Op) IsDelete() bool { return o.Value == nil }

// Page is a part of a listing.
type Page struct {
	Records []Record
	// Revision of the store when the page was read. A Watch from it misses
	// nothing that happened after.
	Revision Revision
}

// Event says that a record changed. It does not carry the value: a watcher that
// wants it reads it, and gets the newest.
type Event struct {
	Key      Key
	Deleted  bool
	Revision Revision
}

// Errors that a Store returns, always to be tested with errors.Is.
var (
	ErrNotFound  = errors.New("store: record not found")
	ErrConflict  = errors.New("store: record changed meanwhile")
	ErrCompacted = errors.New("store: history no longer reaches back that far; list again")
	ErrClosed    = errors.New("store: closed")
	ErrLockLost  = errors.New("store: lock lost")
	ErrUnwatched = errors.New("store: opened without a history of this kind")
)

// Store keeps records. All methods may be called from many goroutines at once.
// Every error that is not one of the package's errors, nor the context's, is a
// fault of the medium: the outcome of a Commit that returns one is unknown.
type Store interface {
	// Get returns one record, or ErrNotFound. It sees every Commit that had
	// returned before Get was called.
	Get(ctx context.Context, key Key) (Record, error)

	// List returns, in ascending order of ID, at most limit records of
	// prefix.Kind whose ID begins with prefix.ID and is greater than after
	// ("" starts at the beginning). limit must be positive. Fewer than limit
	// records mean that there are no more. The page is one consistent state.
	List(ctx context.Context, prefix Key, after string, limit int) (Page, error)

	// Commit applies all of ops or none, durably: when it has returned nil, the
	// change survives the loss of power. It returns the new Revision, and
	// ErrConflict where an expectation does not hold. No two ops may name the
	// same key. Called with the context of a Lock that has been lost, it
	// changes nothing and returns ErrLockLost.
	Commit(ctx context.Context, ops ...Op) (Revision, error)

	// Lock waits until no one else holds the lock of that name, in any process
	// that shares the store, and takes it. The context it returns descends
	// from ctx and ends when the lock is released or lost (context.Cause is
	// ErrLockLost then). release gives the lock back, may be called more than
	// once, and must be called. Lock is not reentrant. When ctx ends first,
	// Lock returns the context's error and holds nothing.
	Lock(ctx context.Context, name string) (held context.Context, release func(), err error)

	// Watch yields an Event for every change, after revision from, of records
	// of prefix.Kind whose ID begins with prefix.ID, in the order of their
	// revisions, and waits for more until ctx ends or the store is closed. It
	// ends with an error: the context's, ErrClosed, or ErrCompacted when from
	// lies before the history that the backend keeps, or after the store's
	// present revision: it is then that of another history, such as of a store
	// that was restored since. A slow consumer blocks nobody; it risks
	// ErrCompacted.
	//
	// Whoever opens a store says which kinds will be watched: for others, Watch
	// ends with ErrUnwatched. The history is bounded by the number of their
	// changes; however much changes in other kinds, none of it is forgotten for
	// that.
	Watch(ctx context.Context, prefix Key, from Revision) iter.Seq2[Event, error]

	// Close releases what the store holds; locks are lost. It waits for
	// Commits under way. Every later call returns ErrClosed.
	Close() error
}
