package vault

import "sync"

const (
	// maxWaiting is how many calls of WaitPortal wait at once.
	maxWaiting = 2000
	// maxWaitingOfOne is how many of those are one person's.
	maxWaitingOfOne = 8
)

// portalWaiters counts the calls of WaitPortal. The zero value is ready for use.
type portalWaiters struct {
	mu  sync.Mutex
	all int
	of  map[Key]int // by tenant and subject
}

// enter reports whether there is room for one more of a person's. If so, it is to leave.
func (w *portalWaiters) enter(p Person) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	who := Key{Tenant: p.Tenant, Subject: p.Subject}
	if w.all >= maxWaiting || w.of[who] >= maxWaitingOfOne {
		return false
	}
	if w.of == nil {
		w.of = map[Key]int{}
	}
	w.all++
	w.of[who]++
	return true
}

func (w *portalWaiters) leave(p Person) {
	w.mu.Lock()
	defer w.mu.Unlock()
	who := Key{Tenant: p.Tenant, Subject: p.Subject}
	w.all--
	if w.of[who]--; w.of[who] == 0 {
		delete(w.of, who)
	}
}
