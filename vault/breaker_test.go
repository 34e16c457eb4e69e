package vault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenvault/tokenvault/vault/provider"
)

var (
	errDown = &provider.Error{Op: "refresh", Status: 503}
	errDead = &provider.Error{Op: "refresh", Kind: provider.InvalidGrant, Code: "invalid_grant"}
)

// ask enters, takes a second, and leaves with the outcome.
func ask(t *testing.T, b *breaker, outcome error) error {
	t.Helper()
	if err := b.enter(t.Context(), time.Now); err != nil {
		return err
	}
	time.Sleep(time.Second)
	b.leave(time.Now(), fmt.Sprint("connection-", rand.N(1000)), outcome)
	return nil
}

func TestABreakerOpensAfterFailuresInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker()
		for range breakAfter - 1 {
			if err := ask(t, b, errDown); err != nil {
				t.Fatalf("refused too early: %v", err)
			}
		}
		if err := ask(t, b, errDead); err != nil {
			t.Fatal(err)
		}
		for range breakAfter {
			if err := ask(t, b, errDown); err != nil {
				t.Fatalf("refused though an answer about one connection shows that the provider is up: %v", err)
			}
		}
		err := ask(t, b, nil)
		var broken *errBroken
		if !errors.As(err, &broken) || broken.retryAfter <= 0 || !errors.Is(err, errDown) {
			t.Fatalf("got %v, want a refusal that says when to come again, and why", err)
		}
		if b.closedFor(time.Now()) != broken.retryAfter {
			t.Errorf("closed for %v, but callers are told %v", b.closedFor(time.Now()), broken.retryAfter)
		}
		time.Sleep(broken.retryAfter)
		if err := ask(t, b, nil); err != nil {
			t.Errorf("after the pause: %v", err)
		}
	})
}

func TestPausesGrowUpToABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker()
		var last time.Duration
		for range 40 {
			_ = ask(t, b, errDown)
			pause := b.closedFor(time.Now())
			if pause > maxBreak*11/10 {
				t.Fatalf("pause of %v, want at most about %v", pause, maxBreak)
			}
			last = pause
			time.Sleep(pause)
		}
		if last < maxBreak*9/10 {
			t.Errorf("the last pause is %v, want about %v", last, maxBreak)
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker()
		for range breakAfter {
			_ = ask(t, b, &provider.Error{Status: 429, RetryAfter: time.Hour})
		}
		if pause := b.closedFor(time.Now()); pause != time.Hour {
			t.Errorf("closed for %v, want the hour that the provider asked for", pause)
		}
	})
}

func TestAfterAnOutageOneIsLetInThenMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker()
		for range breakAfter {
			_ = ask(t, b, errDown)
		}
		time.Sleep(b.closedFor(time.Now()))
		began := time.Now()
		var mu sync.Mutex
		var ends []time.Duration
		var callers sync.WaitGroup
		for range 100 {
			callers.Go(func() {
				if err := ask(t, b, nil); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				ends = append(ends, time.Since(began))
			})
		}
		callers.Wait()
		in := map[time.Duration]int{}
		for _, end := range ends {
			in[end]++
		}
		for second, want := range map[time.Duration]int{1: 1, 2: 2, 3: 4, 4: 8, 5: 16, 6: maxRefreshes} {
			if got := in[second*time.Second]; got != want {
				t.Errorf("%d were answered in second %d, want %d", got, second, want)
			}
		}
	})
}

func TestWhoGivesUpWaitingLeavesTheirPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker()
		for range maxRefreshes {
			if err := b.enter(t.Context(), time.Now); err != nil {
				t.Fatal(err)
			}
		}
		impatient, cancel := context.WithCancel(t.Context())
		gone, patient := make(chan error, 1), make(chan error, 1)
		go func() { gone <- b.enter(impatient, time.Now) }()
		synctest.Wait()
		go func() { patient <- b.enter(t.Context(), time.Now) }()
		synctest.Wait()
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the context's error", err)
		}
		b.abandon()
		if err := <-patient; err != nil {
			t.Error(err)
		}
	})
}

func TestOneConnectionAloneDoesNotCloseTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, row := range []struct {
			name   string
			err    error
			closed bool
		}{
			{"a connection that the provider fails for", errDown, false},
			{"a request that the provider does not take", &provider.Error{Kind: provider.Misconfigured, Code: "invalid_scope", Status: 400}, false},
			{"a client that the provider does not accept", &provider.Error{Kind: provider.Misconfigured, Code: "invalid_client", Status: 401}, true},
		} {
			b := newBreaker()
			for range 3 * breakAfter {
				if b.enter(t.Context(), time.Now) == nil {
					b.leave(time.Now(), "alice's", row.err)
				}
			}
			if closed := b.closedFor(time.Now()) > 0; closed != row.closed {
				t.Errorf("%s: closed = %v, want %v", row.name, closed, row.closed)
			}
		}
	})
}
