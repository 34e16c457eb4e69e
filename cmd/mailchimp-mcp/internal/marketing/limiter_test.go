package marketing_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/marketing"
)

// crowd counts the requests that are under way. They stay until it opens.
type crowd struct {
	under atomic.Int32
	most  atomic.Int32
	open  chan struct{}
}

func newCrowd() *crowd { return &crowd{open: make(chan struct{})} }

// RoundTrip implements http.RoundTripper.
func (c *crowd) RoundTrip(req *http.Request) (*http.Response, error) {
	now := c.under.Add(1)
	defer c.under.Add(-1)
	for most := c.most.Load(); now > most && !c.most.CompareAndSwap(most, now); most = c.most.Load() {
	}
	select {
	case <-c.open:
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("{}")), Request: req}, nil
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
}

// call makes many calls at a time for an account, by several people.
func (c *crowd) call(t *testing.T, calls *sync.WaitGroup, limiter *marketing.Limiter, account string) {
	t.Helper()
	for range 5 {
		client, err := marketing.New(marketing.Config{HTTP: &http.Client{Transport: c}, Limiter: limiter, Account: account})
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			calls.Go(func() {
				if _, err := client.Get(t.Context(), pathOf(t, "lists"), nil); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestTenConnectionsAreUnderWayAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := newCrowd()
		var calls sync.WaitGroup
		seen.call(t, &calls, marketing.NewLimiter(), "a")
		synctest.Wait()
		if n := seen.under.Load(); n != 10 {
			t.Errorf("got %d of 50 requests under way, want 10", n)
		}
		close(seen.open)
		calls.Wait()
		if most := seen.most.Load(); most != 10 {
			t.Errorf("got %d requests at a time, want 10", most)
		}
	})
}

func TestAccountsDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen, limiter := newCrowd(), marketing.NewLimiter()
		var calls sync.WaitGroup
		seen.call(t, &calls, limiter, "a")
		seen.call(t, &calls, limiter, "b")
		synctest.Wait()
		if n := seen.under.Load(); n != 20 {
			t.Errorf("got %d requests under way, want 10 of each account", n)
		}
		close(seen.open)
		calls.Wait()
	})
}

func TestACallWaitsForAPlaceNoLongerThanItLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := newCrowd()
		c, err := marketing.New(marketing.Config{HTTP: &http.Client{Transport: hang}, Limiter: marketing.NewLimiter()})
		if err != nil {
			t.Fatal(err)
		}
		var calls sync.WaitGroup
		for range 10 {
			calls.Go(func() { _, _ = c.Get(t.Context(), pathOf(t, "lists"), nil) })
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err = c.Get(ctx, pathOf(t, "lists"), nil)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the end of the call", err)
		}
		wantWords(t, err, "10 connections")
		close(hang.open)
		calls.Wait()
	})
}

func TestAPauseHoldsNoConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		replies := make([]reply, 0, 11)
		for range 10 {
			replies = append(replies, problem(429).after("10"))
		}
		c, s := play(t, append(replies, ok("{}"))...)
		var calls sync.WaitGroup
		for range 10 {
			calls.Go(func() { _, _ = c.Get(t.Context(), pathOf(t, "lists"), nil) })
		}
		synctest.Wait()
		began := time.Now()
		if _, err := c.Get(t.Context(), pathOf(t, "lists"), nil); err != nil || time.Since(began) != 0 {
			t.Errorf("got %v after %v, want an answer at once", err, time.Since(began))
		}
		calls.Wait()
		if len(s.seen) < 21 {
			t.Errorf("got %d requests, want those that waited to come again", len(s.seen))
		}
	})
}
