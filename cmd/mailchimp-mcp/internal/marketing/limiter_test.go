package marketing_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/marketing"
)

// crowd is a server that counts how many requests are under way, and lets them wait
// until as many are there as it wants.
type crowd struct {
	mu        sync.Mutex
	now, most int
	full      chan struct{} // closed when want are there
	want      int
}

// ServeHTTP implements http.Handler.
func (c *crowd) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	c.mu.Lock()
	c.now++
	c.most = max(c.most, c.now)
	if c.now == c.want && c.full != nil {
		close(c.full)
		c.want = -1
	}
	c.mu.Unlock()
	<-c.full
	_, _ = w.Write([]byte("{}"))
	c.mu.Lock()
	c.now--
	c.mu.Unlock()
}

// below sends host-less requests to a server.
func below(server *httptest.Server) *http.Client {
	return &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
		out := req.Clone(req.Context())
		out.URL.Scheme, out.URL.Host = "http", server.Listener.Addr().String()
		return server.Client().Transport.RoundTrip(out)
	})}
}

func TestTenConnectionsAreUnderWayAtMost(t *testing.T) {
	seen := &crowd{full: make(chan struct{}), want: 10}
	server := httptest.NewServer(seen)
	defer server.Close()
	limiter := marketing.NewLimiter()
	var calls sync.WaitGroup
	for range 5 { // people of one account
		c, err := marketing.New(marketing.Config{HTTP: below(server), Limiter: limiter, Account: "a"})
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			calls.Go(func() {
				if _, err := c.Get(t.Context(), pathOf(t, "lists"), nil); err != nil {
					t.Error(err)
				}
			})
		}
	}
	calls.Wait()
	if seen.most != 10 {
		t.Errorf("got %d requests at a time, want 10", seen.most)
	}
}

func TestAccountsDoNotWaitForEachOther(t *testing.T) {
	seen := &crowd{full: make(chan struct{}), want: 20} // more than one account has
	server := httptest.NewServer(seen)
	defer server.Close()
	limiter := marketing.NewLimiter()
	var calls sync.WaitGroup
	for _, account := range []string{"a", "b"} {
		c, err := marketing.New(marketing.Config{HTTP: below(server), Limiter: limiter, Account: account})
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			calls.Go(func() {
				if _, err := c.Get(t.Context(), pathOf(t, "lists"), nil); err != nil {
					t.Error(err)
				}
			})
		}
	}
	calls.Wait()
}

func TestACallWaitsForAPlaceNoLongerThanItLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leave := make(chan struct{})
		hang := roundTripper(func(req *http.Request) (*http.Response, error) {
			select {
			case <-leave:
			case <-req.Context().Done():
			}
			return nil, errors.New("gone")
		})
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
		close(leave)
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
