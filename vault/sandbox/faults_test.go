package sandbox_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tokenvault/tokenvault/vault/sandbox"
)

func TestAnAnswerCanBeLostBeforeAndAfterTheTokenIsIssued(t *testing.T) {
	for _, row := range []struct {
		name   string
		fault  sandbox.Fault
		status int // 0: the connection closes
		issued bool
	}{
		{"before", sandbox.Fault{Drop: true}, 0, false},
		{"after", sandbox.Fault{DropAfter: true}, 0, true},
		{"before, behind a proxy", sandbox.Fault{Status: 502}, 502, false},
		{"after, behind a proxy", sandbox.Fault{Status: 504, Processed: true}, 504, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := newApp(t, nil)
			first := a.Issue("post", ada, "a")
			a.Fault(sandbox.Token, row.fault)
			r, err := a.do(postRequest(t.Context(), t, "/oauth/token", refreshForm(first.RefreshToken)))
			if closed := errors.Is(err, io.EOF); closed != (row.status == 0) || r.status != row.status || strings.Contains(r.body, "token") {
				t.Errorf("status %d, error %v, body %q", r.status, err, r.body)
			}
			if issued := a.LastIssued() != first; issued != row.issued {
				t.Errorf("tokens issued: %v, want %v", issued, row.issued)
			}
			if used := !a.RefreshTokenValid(first.RefreshToken); used != row.issued {
				t.Errorf("refresh token used: %v, want %v", used, row.issued)
			}
		})
	}
}

func TestARequestStopsWhereATestWants(t *testing.T) {
	for _, row := range []struct {
		name   string
		stop   func(f *sandbox.Fault, block func(*http.Request))
		issued bool
	}{
		{"before", func(f *sandbox.Fault, block func(*http.Request)) { f.Before = block }, false},
		{"after", func(f *sandbox.Fault, block func(*http.Request)) { f.After = block }, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newApp(t, nil)
				first := a.Issue("post", ada, "a")
				reached, goOn := make(chan struct{}), make(chan struct{})
				fault := sandbox.Fault{}
				row.stop(&fault, func(*http.Request) { close(reached); <-goOn })
				a.Fault(sandbox.Token, fault)

				ctx, leave := context.WithCancel(t.Context())
				var client sync.WaitGroup
				client.Go(func() {
					if _, err := a.do(postRequest(ctx, t, "/oauth/token", refreshForm(first.RefreshToken))); !errors.Is(err, context.Canceled) {
						t.Errorf("error = %v, want that the client left", err)
					}
				})
				<-reached
				if issued := a.LastIssued() != first; issued != row.issued {
					t.Errorf("issued when stopped: %v, want %v", issued, row.issued)
				}
				// The sandbox answers others meanwhile, and the client can leave.
				if !a.Valid(first.AccessToken) || a.Requests(sandbox.Token) != 1 {
					t.Error("the sandbox does not answer")
				}
				leave()
				client.Wait()
				close(goOn)
				synctest.Wait()
				if a.LastIssued() == first {
					t.Error("the request was not carried out")
				}
			})
		})
	}
}

func TestADelayEndsWhenTheClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, nil)
		a.Fault(sandbox.Token, sandbox.Fault{Delay: day, Drop: true})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := a.do(postRequest(ctx, t, "/oauth/token", refreshForm("x")))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestAFaultBefallsSoManyRequests(t *testing.T) {
	a := newApp(t, nil)
	a.Fault(sandbox.Token, sandbox.Fault{Status: 503, Times: 2})
	var got []int
	for range 3 {
		got = append(got, a.refresh("x").status)
	}
	if diff := cmp.Diff([]int{503, 503, 400}, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}

func TestAnOutageBeginsAndEndsByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, nil)
		token := a.Issue("post", ada, "a").RefreshToken
		from := time.Now().Add(hour)
		a.Outage(from, from.Add(day), sandbox.Fault{Status: 503, RetryAfter: 90 * time.Second}, sandbox.Token)
		a.Outage(from.Add(day), from.Add(2*day), sandbox.Fault{Status: 503, RetryAfter: 90 * time.Second, RetryAfterDate: true})

		time.Sleep(hour - 1)
		token = a.mustRefresh(token)
		time.Sleep(time.Nanosecond)
		if r := a.refresh(token); r.status != 503 || r.header.Get("Retry-After") != "90" {
			t.Errorf("status %d, Retry-After %q; want 503, 90", r.status, r.header.Get("Retry-After"))
		}
		if r := a.post("/oauth/revoke", revocation("x")); r.status != http.StatusOK {
			t.Errorf("another endpoint: status %d, want 200", r.status)
		}
		time.Sleep(day)
		r := a.post("/oauth/revoke", revocation("x"))
		if at, err := http.ParseTime(r.header.Get("Retry-After")); r.status != 503 || err != nil || !at.Equal(time.Now().Add(90*time.Second)) {
			t.Errorf("status %d, Retry-After %q; want 503 and a date in 90 s", r.status, r.header.Get("Retry-After"))
		}
		time.Sleep(day)
		a.mustRefresh(token)
	})
}

func TestRequestsAboveALimitAreAnsweredWith429(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, func(c *sandbox.Config) { c.MaxConcurrent, c.LimitRetryAfter = 3, time.Minute })
		a.Fault(sandbox.Token, sandbox.Fault{Delay: time.Second})
		var mu sync.Mutex
		statuses := map[int]int{}
		var clients sync.WaitGroup
		for range 5 {
			clients.Go(func() {
				r := a.refresh("x")
				mu.Lock()
				defer mu.Unlock()
				statuses[r.status]++
				if r.status == http.StatusTooManyRequests && r.header.Get("Retry-After") != "60" {
					t.Errorf("Retry-After = %q, want 60", r.header.Get("Retry-After"))
				}
			})
		}
		clients.Wait()
		if diff := cmp.Diff(map[int]int{400: 3, 429: 2}, statuses); diff != "" {
			t.Errorf("statuses (-want +got):\n%s", diff)
		}
		// Those refused leave at once, so that they may not have met.
		if peak := a.PeakConcurrency(sandbox.Token); peak < 4 || peak > 5 || a.PeakConcurrency(sandbox.Revoke) != 0 {
			t.Errorf("peak = %d, want 4 or 5, and 0 elsewhere", peak)
		}
		if n := a.LimitedRequests(sandbox.Token); n != 2 {
			t.Errorf("limited = %d, want 2", n)
		}
		if r := a.refresh("x"); r.status != http.StatusBadRequest {
			t.Errorf("afterwards: status %d, want 400", r.status)
		}
	})
}

func TestTheRateOfRequestsIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, func(c *sandbox.Config) { c.MaxPerSecond = 2 })
		var statuses []int
		var want []time.Time
		for range 4 {
			statuses = append(statuses, a.refresh("x").status)
			want = append(want, time.Now())
			time.Sleep(300 * time.Millisecond)
		}
		time.Sleep(time.Second)
		statuses, want = append(statuses, a.refresh("x").status), append(want, time.Now())
		if diff := cmp.Diff([]int{400, 400, 429, 429, 400}, statuses); diff != "" {
			t.Errorf("statuses (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want, a.RequestTimes(sandbox.Token), cmpopts.EquateApproxTime(0)); diff != "" {
			t.Errorf("RequestTimes (-want +got):\n%s", diff)
		}
	})
}

func TestTheRequestLogKeepsTheLastOnes(t *testing.T) {
	now := time.Unix(0, 0)
	a := newApp(t, func(c *sandbox.Config) { c.Now = func() time.Time { now = now.Add(time.Millisecond); return now } })
	a.Fault(sandbox.Revoke, sandbox.Fault{Status: 503})
	const kept = 1 << 17
	for range kept + 10 {
		req := postRequest(t.Context(), t, "/oauth/revoke", nil)
		a.ServeHTTP(discard{}, req)
	}
	times := a.RequestTimes(sandbox.Revoke)
	if len(times) != kept || a.Requests(sandbox.Revoke) != kept+10 {
		t.Fatalf("%d times of %d requests, want %d", len(times), a.Requests(sandbox.Revoke), kept)
	}
	for i := range times[1:] {
		if !times[i].Before(times[i+1]) {
			t.Fatalf("time %d is not before the next", i)
		}
	}
}

// discard is an answer that nobody reads.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

func TestFaultsAreReadFromText(t *testing.T) {
	for text, want := range map[string]sandbox.Fault{
		"token:status=503,times=3":                            {Status: 503, Times: 3},
		"metadata:delay=5s":                                   {Delay: 5 * time.Second},
		"token:drop-after":                                    {DropAfter: true},
		"token:status=504,processed":                          {Status: 504, Processed: true},
		"api:status=429,retry-after=1m":                       {Status: 429, RetryAfter: time.Minute},
		"token:quirk=expires-in-empty,quirk=form-encoded":     {Quirks: []sandbox.Quirk{sandbox.ExpiresInEmpty, sandbox.FormEncoded}},
		"token:quirk=refresh-token-left-out,times=1,delay=1s": {Quirks: []sandbox.Quirk{sandbox.RefreshTokenLeftOut}, Times: 1, Delay: time.Second},
	} {
		endpoint, got, err := sandbox.ParseFault(text)
		if err != nil || !strings.HasPrefix(text, string(endpoint)+":") {
			t.Errorf("%s: %q, %v", text, endpoint, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(sandbox.Fault{}, "Before", "After")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	for _, text := range []string{"", "token", "token:", "other:drop", "token:status=99", "token:delay=soon", "token:times=x", "token:quirk=", "token:quirk=other", "api:quirk=gzip", "token:what"} {
		if _, _, err := sandbox.ParseFault(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
