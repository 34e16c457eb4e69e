package boltstore

import (
	"sync"

	"github.com/tokenvault/tokenvault/vault/store"
)

// Bounds of what recent holds: 32 MiB at most, and a tenth of it with records of
// an ordinary size.
const (
	maxRecent      = 8192
	maxRecentValue = 4 << 10 // bytes
)

// recent holds records as they lie in the file, sealed, for those who read the
// same ones again and again: a bbolt transaction is most of the work of a Get,
// and takes a lock that all readers share.
//
// It must never give out what the file no longer says. All that is written to
// the file, and nobody else can write to it, passes through changing and changed:
// from before a transaction can be seen until it is certain what has come of it,
// its records are not in here and are not taken in.
type recent struct {
	mu      sync.RWMutex
	records map[store.Key]sealed
	// underWay are the keys of the transaction that is being written.
	underWay map[store.Key]struct{}
	// era counts the transactions that have ended. What was read before the end
	// of one is not taken in after it.
	era uint64
}

// sealed is a Record without its key, of which nothing is ever changed.
type sealed struct {
	value    string
	revision store.Revision
}

func newRecent() *recent {
	return &recent{records: make(map[store.Key]sealed), underWay: make(map[store.Key]struct{})}
}

// get returns what is held of a record, and the era to give to put.
func (r *recent) get(key store.Key) (held sealed, ok bool, era uint64) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	held, ok = r.records[key]
	return held, ok, r.era
}

// put takes in what was read from the file after get.
func (r *recent) put(rec store.Record, era uint64) {
	if len(rec.Value) > maxRecentValue {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, changing := r.underWay[rec.Key]; changing || r.era != era {
		return
	}
	if len(r.records) >= maxRecent {
		clear(r.records) // what is asked for often is soon back
	}
	r.records[rec.Key] = sealed{value: string(rec.Value), revision: rec.Revision}
}

// changing comes before a transaction, and changed after it.
func (r *recent) changing(batch []*commit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range batch {
		for _, op := range c.ops {
			delete(r.records, op.Key)
			r.underWay[op.Key] = struct{}{}
		}
	}
}

func (r *recent) changed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.underWay)
	r.era++
}
