package boltstore

import (
	"strconv"
	"testing"

	"github.com/tokenvault/tokenvault/vault/store"
)

func thing(id string) store.Key { return store.Key{Kind: "things", ID: id} }

// holds reads a record and reports whether it is held afterwards, when between
// has happened in the middle of the reading.
func holds(r *recent, rec store.Record, between func()) bool {
	_, _, era := r.get(rec.Key)
	between()
	r.put(rec, era)
	_, held, _ := r.get(rec.Key)
	return held
}

func TestOnlyWhatIsCertainIsHeld(t *testing.T) {
	changeA := []*commit{{ops: []store.Op{store.Delete(thing("a"), store.Any)}}}
	for _, row := range []struct {
		name            string
		before, between func(r *recent)
		want            bool
	}{
		{"no transaction", func(*recent) {}, func(*recent) {}, true},
		{"one begins", func(*recent) {}, func(r *recent) { r.changing(changeA) }, false},
		{"one begins and ends", func(*recent) {}, func(r *recent) { r.changing(changeA); r.changed() }, false},
		{"one is under way", func(r *recent) { r.changing(changeA) }, func(*recent) {}, false},
		{"one ends", func(r *recent) { r.changing(changeA) }, func(r *recent) { r.changed() }, false},
		{"one has ended", func(r *recent) { r.changing(changeA); r.changed() }, func(*recent) {}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRecent()
			row.before(r)
			if got := holds(r, store.Record{Key: thing("a")}, func() { row.between(r) }); got != row.want {
				t.Errorf("held = %v, want %v", got, row.want)
			}
		})
	}
	r := newRecent()
	r.changing(changeA)
	if !holds(r, store.Record{Key: thing("b")}, func() {}) {
		t.Error("a record that the transaction does not change is not held")
	}
}

func TestWhatIsHeldIsBounded(t *testing.T) {
	r := newRecent()
	if holds(r, store.Record{Key: thing("large"), Value: make([]byte, maxRecentValue+1)}, func() {}) {
		t.Error("a large value is held")
	}
	for i := range 3 * maxRecent {
		holds(r, store.Record{Key: thing(strconv.Itoa(i))}, func() {})
		if len(r.records) > maxRecent {
			t.Fatalf("%d records are held, want %d at most", len(r.records), maxRecent)
		}
	}
}
