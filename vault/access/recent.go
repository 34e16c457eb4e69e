package access

import (
	"sync"
	"time"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// Bounds of what is remembered of verified tokens.
const (
	maxRecent  = 4096      // tokens in each of two generations
	recentTime = time.Hour // as long as keys are believed without asking again
)

// recent remembers what was found out about tokens, by their hashes, until they
// end. There are two generations: when the younger is full it becomes the older,
// and what was in that is forgotten. It is safe for concurrent use.
type recent[V any] struct {
	now func() time.Time

	mu             sync.RWMutex
	younger, older map[TokenHash]remembered[V]
}

type remembered[V any] struct {
	value V
	until time.Time
}

func newRecent[V any](now func() time.Time) *recent[V] {
	return &recent[V]{now: now, younger: map[TokenHash]remembered[V]{}}
}

func (r *recent[V]) get(token secret.String) (V, bool) {
	hash := HashToken(token)
	r.mu.RLock()
	found, ok := r.younger[hash]
	if !ok {
		found, ok = r.older[hash]
	}
	r.mu.RUnlock()
	if !ok || !r.now().Before(found.until) {
		var none V
		return none, false
	}
	return found.value, true
}

// keep remembers a value until the token ends, but no longer than recentTime.
func (r *recent[V]) keep(token secret.String, value V, end time.Time) {
	// By the wall clock: the monotonic one stands still while the machine sleeps.
	if latest := r.now().Round(0).Add(recentTime); end.After(latest) {
		end = latest
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.younger) == maxRecent {
		r.older, r.younger = r.younger, map[TokenHash]remembered[V]{}
	}
	r.younger[HashToken(token)] = remembered[V]{value, end}
}
