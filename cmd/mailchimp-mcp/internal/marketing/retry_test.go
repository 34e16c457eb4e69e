package marketing_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/marketing"
)

func TestWhatCanBeTriedAgainIs(t *testing.T) {
	const get, post, put, remove = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	reset := fmt.Errorf("read: %w", syscall.ECONNRESET)
	for name, tt := range map[string]struct {
		method string
		first  reply
		again  bool
	}{
		"read, too much":               {get, problem(429), true},
		"read, far too much":           {get, bare(403), true},
		"read, a fault":                {get, bare(503), true},
		"read, broken off":             {get, broken(reset), true},
		"read, ended early":            {get, broken(io.ErrUnexpectedEOF), true},
		"read, nobody there":           {get, broken(syscall.ECONNREFUSED), true},
		"read, no right":               {get, problem(403), false},
		"read, not there":              {get, problem(404), false},
		"read, review needed":          {get, problem(599), false},
		"read, no credentials":         {get, broken(errors.New("not connected")), false},
		"post, too much":               {post, problem(429), true},
		"post, far too much":           {post, bare(403), true},
		"post, a fault":                {post, bare(503), false},
		"post, broken off":             {post, broken(reset), false},
		"put, a fault":                 {put, problem(500), false},
		"delete, broken off":           {remove, broken(io.EOF), false},
		"post, what is wrong with it":  {post, problem(400), false},
		"delete, too much":             {remove, problem(429), true},
		"read, sent to somewhere else": {get, bare(302), false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := play(t, tt.first, ok(`{"id":"x"}`))
				got, err := c.Do(t.Context(), marketing.Request{Method: tt.method, Path: pathOf(t, "lists")})
				if again := len(s.seen) == 2; again != tt.again {
					t.Errorf("got the requests %v and the error %v, want another try: %v", s.seen, err, tt.again)
				}
				if tt.again && (err != nil || got["id"] != "x") {
					t.Errorf("got %v, %v; want the second answer", got, err)
				}
				if !tt.again && err == nil {
					t.Error("got no error")
				}
			})
		})
	}
}

func TestPausesGetLongerAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := play(t, problem(429), problem(429), problem(429), problem(429), ok("{}"))
		began := time.Now()
		_, err := c.Get(t.Context(), pathOf(t, "lists"), nil)
		if e, isError := errors.AsType[*marketing.Error](err); !isError || e.Status != 429 {
			t.Errorf("got %v, want Mailchimp's 429", err)
		}
		if len(s.seen) != 4 {
			t.Errorf("got %d tries, want 4", len(s.seen))
		}
		// Half a second, one, two: half of that to half as much again.
		if took := time.Since(began); took < 1750*time.Millisecond || took > 5250*time.Millisecond {
			t.Errorf("got %v of pauses, want 1.75 to 5.25 s", took)
		}
	})
}

func TestMailchimpSaysWhenToTryAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := play(t, problem(429).after("7"), ok("{}"))
		began := time.Now()
		if _, err := c.Get(t.Context(), pathOf(t, "lists"), nil); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 7*time.Second || took > 8*time.Second {
			t.Errorf("got a pause of %v, want 7 s and little more", took)
		}
	})
}

func TestNobodyWaitsLongerThanItMakesSense(t *testing.T) {
	for name, tt := range map[string]struct {
		retryAfter string
		timeout    time.Duration
	}{
		"Mailchimp wants more than 20 s":   {"60", time.Minute},
		"the call ends before it is tried": {"10", 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := play(t, problem(429).after(tt.retryAfter), ok("{}"))
				ctx, cancel := context.WithTimeout(t.Context(), tt.timeout)
				defer cancel()
				began := time.Now()
				_, err := c.Get(ctx, pathOf(t, "lists"), nil)
				if e, isError := errors.AsType[*marketing.Error](err); !isError || e.RetryAfter == 0 {
					t.Errorf("got %v, want Mailchimp's 429 with when to try again", err)
				}
				if took := time.Since(began); took != 0 || len(s.seen) != 1 {
					t.Errorf("got %v and %d tries, want the error at once", took, len(s.seen))
				}
			})
		})
	}
}

func TestAServerThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := roundTripper(func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		})
		c, err := marketing.New(marketing.Config{HTTP: &http.Client{Transport: hang}, Limiter: marketing.NewLimiter()})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, err = c.Do(t.Context(), marketing.Request{Method: http.MethodPost, Path: pathOf(t, "campaigns")})
		if took := time.Since(began); took != 30*time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v after %v, want an end after 30 s", err, took)
		}
		wantWords(t, err, "not answered in time", "may have done it or not")
	})
}

// TestAServerThatSwitchesProtocolsIsGivenUp: what comes after a 101 is the connection
// itself, which no context ends. It would keep one of the account's ten for good.
func TestAServerThatSwitchesProtocolsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent, never := io.Pipe()
		defer func() { _ = never.Close() }()
		c, err := marketing.New(marketing.Config{Limiter: marketing.NewLimiter(), HTTP: &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusSwitchingProtocols, Header: http.Header{}, Body: silent, Request: req}, nil
		})}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Get(t.Context(), pathOf(t, "ping"), nil)
		wantWords(t, err, "answered 101", "base URL")
		if _, err := never.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("got %v from a write to the connection, want it closed", err)
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
