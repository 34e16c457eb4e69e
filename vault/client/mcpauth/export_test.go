package mcpauth

import (
	"crypto/rand"
	"time"
)

// SetBeat is the time between two signs of progress.
func (a *Auth) SetBeat(d time.Duration) { a.beat = d }

// Flows are closed when each that is open has come to its end.
func (a *Auth) Flows() (open []<-chan struct{}) {
	a.flows.mu.Lock()
	defer a.flows.mu.Unlock()
	for _, of := range a.flows.of {
		for _, f := range of {
			open = append(open, f.done)
		}
	}
	return open
}

// SetClock is the time that links and states end by.
func (a *Auth) SetClock(now func() time.Time) { a.flows.now = now }

// RandomKey is for StateKey.
func RandomKey() []byte {
	key := make([]byte, keySize)
	_, _ = rand.Read(key)
	return key
}
