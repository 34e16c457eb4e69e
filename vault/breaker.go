package vault

import (
	"context"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/tokenvault/tokenvault/vault/provider"
)

// Limits of what one provider is asked by one process.
const (
	// maxRefreshes is how many refreshes may be under way at once.
	maxRefreshes = 32
	// breakAfter is how many may fail in a row, whatever their connections,
	// until the provider is taken to be down.
	breakAfter = 5
	// Pauses between two looks at whether it is up again.
	minBreak = 5 * time.Second
	maxBreak = 5 * time.Minute
)

// breaker stands before a provider's token endpoint. While the provider is down
// it lets one request through from time to time and refuses the others, so that
// an outage costs neither connections nor requests. When the provider is up
// again, it lets more through with every answer instead of all at once.
//
// A breaker is safe for concurrent use.
type breaker struct {
	mu       sync.Mutex
	failures int           // in a row
	cause    error         // of the last one
	failing  string        // the connection that has failed first
	several  bool          // others have, too
	until    time.Time     // closed to all before this
	pause    time.Duration // the last one
	limit    int           // how many may be under way
	running  int
	waiting  []chan struct{} // in the order of their coming; closed to let one in
}

func newBreaker() *breaker { return &breaker{limit: maxRefreshes} }

// errBroken says that a request was not made, because the provider is down.
type errBroken struct {
	cause error
	// retryAfter is when somebody is let through next.
	retryAfter time.Duration
}

func (e *errBroken) Error() string {
	return "not asked, since the provider has failed several times in a row"
}

func (e *errBroken) Unwrap() error { return e.cause }

// enter waits until a request may be made. Whoever is let in must call leave or
// abandon.
func (b *breaker) enter(ctx context.Context, now func() time.Time) error {
	b.mu.Lock()
	if err := b.refusal(now()); err != nil {
		b.mu.Unlock()
		return err
	}
	if b.running < b.limit {
		b.running++
		b.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	b.waiting = append(b.waiting, turn)
	b.mu.Unlock()
	select {
	case <-turn:
	case <-ctx.Done():
		b.giveUp(turn)
		return ctx.Err()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.refusal(now()); err != nil {
		b.running--
		b.admit()
		return err
	}
	return nil
}

// refusal returns why nobody is let in now, with b.mu held: the pause after failures
// is not over. How many are let in at once after it is for limit to say.
func (b *breaker) refusal(now time.Time) error {
	if wait := b.until.Sub(now); wait > 0 {
		return &errBroken{cause: b.cause, retryAfter: wait}
	}
	return nil
}

// giveUp takes a turn out of the queue, or passes it on when it has come.
func (b *breaker) giveUp(turn chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, waiting := range b.waiting {
		if waiting == turn {
			b.waiting = append(b.waiting[:i], b.waiting[i+1:]...)
			return
		}
	}
	b.running--
	b.admit()
}

// admit lets in as many of those who wait as there is room for, with b.mu held.
func (b *breaker) admit() {
	for b.running < b.limit && len(b.waiting) > 0 {
		b.running++
		close(b.waiting[0])
		b.waiting = b.waiting[1:]
	}
}

// leave says how the request ended. An answer about one connection (its grant is
// dead) shows that the provider is up.
//
// One connection alone cannot close it, whatever goes wrong with that one; only
// that the client is not accepted concerns all.
func (b *breaker) leave(now time.Time, connection string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running--
	defer b.admit()
	if !saysProviderFails(err) {
		b.failures, b.pause, b.cause = 0, 0, nil
		b.failing, b.several = "", false
		b.until = time.Time{}
		b.limit = min(b.limit+1, maxRefreshes)
		return
	}
	b.failures++
	b.cause = err
	if b.failing == "" {
		b.failing = connection
	}
	b.several = b.several || b.failing != connection || provider.ClientRefused(err)
	if b.failures < breakAfter || !b.several || b.until.After(now) {
		return // those under way when it broke do not make the pause longer
	}
	b.limit = 1
	b.pause = min(max(2*b.pause, minBreak), maxBreak)
	pause := b.pause*9/10 + rand.N(b.pause/5)
	b.until = now.Add(max(pause, provider.RetryAfter(err)))
}

// abandon gives back the place of a request that was not made after all.
func (b *breaker) abandon() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running--
	b.admit()
}

// reset lets everybody in again, as if nothing had failed.
func (b *breaker) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures, b.pause, b.cause, b.until, b.limit = 0, 0, nil, time.Time{}, maxRefreshes
	b.failing, b.several = "", false
	b.admit()
}

// closedFor returns for how long nobody is let in. 0: somebody is.
func (b *breaker) closedFor(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(b.until.Sub(now), 0)
}

// saysProviderFails reports whether an error is about the provider, or about us
// as its client, rather than about one connection.
func saysProviderFails(err error) bool {
	if provider.ClientRefused(err) {
		return true
	}
	if err == nil || provider.KindOf(err) != provider.Transient {
		return false
	}
	status := provider.StatusOf(err)
	return status == 0 || status >= http.StatusInternalServerError || status == http.StatusTooManyRequests
}

// isIdle reports whether nothing is known that would be worth remembering.
func (b *breaker) isIdle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures == 0 && b.running == 0 && len(b.waiting) == 0
}

// breakers are one for each host that tokens are had from: where a provider's
// definition has variables, each customer of it may have a host of their own, and
// one that is down is no reason not to ask another.
type breakers struct {
	mu    sync.Mutex
	hosts map[string]*breaker // by provider and host
}

// maxBreakers bounds how many are remembered.
const maxBreakers = 10_000

// of returns the breaker before a provider, bound to its variables if it has any.
func (bs *breakers) of(p *provider.Provider) *breaker {
	key := p.Name()
	if len(p.Definition().Variables) > 0 {
		if u, err := url.Parse(p.Definition().TokenURL); err == nil {
			key += " " + u.Host
		}
	}
	bs.mu.Lock()
	defer bs.mu.Unlock()
	b, ok := bs.hosts[key]
	if !ok {
		if len(bs.hosts) >= maxBreakers {
			maps.DeleteFunc(bs.hosts, func(_ string, b *breaker) bool { return b.isIdle() })
		}
		b = newBreaker()
		bs.hosts[key] = b
	}
	return b
}

// reset lets everybody in again at all hosts of a provider.
func (bs *breakers) reset(name string) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	for key, b := range bs.hosts {
		if key == name || strings.HasPrefix(key, name+" ") {
			b.reset()
		}
	}
}
