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

// AgeLinks brings the end of the links of a subject nearer, as time does.
func (a *Auth) AgeLinks(subject string, by time.Duration) {
	a.flows.mu.Lock()
	defer a.flows.mu.Unlock()
	for _, f := range a.flows.of[subject] {
		aged := *f.link
		aged.ExpireTime = aged.ExpireTime.Add(-by)
		f.link = &aged
	}
}

// AgeState is a state as it will be some time from now.
func (a *Auth) AgeState(text string, by time.Duration) (string, error) {
	st, err := a.sealer.open(text)
	if err != nil {
		return "", err
	}
	st.LinkEnd, st.End = st.LinkEnd.Add(-by), st.End.Add(-by)
	return a.sealer.seal(st)
}

// RandomKey is for StateKey.
func RandomKey() []byte {
	key := make([]byte, keySize)
	_, _ = rand.Read(key)
	return key
}
