package marketing

import (
	"context"
	"fmt"
	"sync"
)

// connections is how many Mailchimp serves at a time for an account.
const connections = 10

// Limiter has no more requests under way for a Mailchimp account than Mailchimp serves
// at a time, for all clients that share it. It is safe for concurrent use.
type Limiter struct {
	mu       sync.Mutex
	accounts map[string]*gate
}

// gate is one account's. It goes when nobody is left who waits or is under way.
type gate struct {
	slots chan struct{}
	users int
}

// NewLimiter returns a Limiter. A process has one.
func NewLimiter() *Limiter { return &Limiter{accounts: map[string]*gate{}} }

// enter waits for a place among an account's requests. leave gives it back.
func (l *Limiter) enter(ctx context.Context, account string) (leave func(), err error) {
	l.mu.Lock()
	g := l.accounts[account]
	if g == nil {
		g = &gate{slots: make(chan struct{}, connections)}
		l.accounts[account] = g
	}
	g.users++
	l.mu.Unlock()
	select {
	case g.slots <- struct{}{}:
		return func() {
			<-g.slots
			l.release(account, g)
		}, nil
	case <-ctx.Done():
		l.release(account, g)
		return nil, fmt.Errorf("wait for one of the %d connections that Mailchimp gives an account: %w", connections, ctx.Err())
	}
}

func (l *Limiter) release(account string, g *gate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g.users--; g.users == 0 {
		delete(l.accounts, account)
	}
}
