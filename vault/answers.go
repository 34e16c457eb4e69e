package vault

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/tokenvault/tokenvault/vault/store"
)

// Programs that call a provider's API ask for the same credentials again and
// again. The answer is kept for a moment: the record is read every time, but
// opened only when it has changed.
//
// This is the one place where access tokens lie in memory without being on their
// way to somebody. Refresh tokens do not: what is kept is what a caller got.
// Whoever can read the memory of the process finds the keyset there, and with it
// all that the store holds; still, no token stays longer than answerTime, and no
// more than maxAnswers do.
const (
	answerTime = time.Minute
	maxAnswers = 4096
)

// answer is what GetCredentials has made of one revision of a record.
type answer struct {
	revision store.Revision
	creds    Credentials
	life     time.Duration // the token's, when it was issued; 0: it does not end
}

// slot has room for the answer about one connection.
type slot struct{ kept atomic.Pointer[answer] }

// get returns the answer made of that revision, while its token has enough life
// left for the one who asks.
func (s *slot) get(revision store.Revision, now time.Time, w want) (Credentials, bool) {
	a := s.kept.Load()
	if a == nil || a.revision != revision || a.life != 0 && a.creds.ExpireTime.Sub(now) < w.enough(a.life) {
		return Credentials{}, false
	}
	return a.creds, true
}

// forget empties the slot.
func (s *slot) forget() { s.kept.Store(nil) }

// answers knows the slots that are in use, and empties them. The zero value is
// ready for use.
type answers struct {
	mu    sync.Mutex
	inUse []*slot
	timer *time.Timer // runs while there are any
}

// keep puts an answer into its slot.
func (as *answers) keep(s *slot, a *answer) {
	as.mu.Lock()
	defer as.mu.Unlock()
	if s.kept.Swap(a) != nil {
		return // the slot is known
	}
	if len(as.inUse) == maxAnswers {
		as.empty()
	}
	if len(as.inUse) == 0 {
		as.timer = time.AfterFunc(answerTime, func() {
			as.mu.Lock()
			defer as.mu.Unlock()
			as.empty()
		})
	}
	as.inUse = append(as.inUse, s)
}

// empty forgets all answers. The lock is held.
func (as *answers) empty() {
	as.timer.Stop()
	for _, s := range as.inUse {
		s.forget()
	}
	as.inUse = nil
}
