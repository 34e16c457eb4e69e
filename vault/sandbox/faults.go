package sandbox

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Endpoint names a part of the sandbox that can be made to fail.
type Endpoint string

// The endpoints.
const (
	Authorize Endpoint = "authorize"
	Token     Endpoint = "token"
	Metadata  Endpoint = "metadata"
	API       Endpoint = "api"
	Revoke    Endpoint = "revoke"
	UserInfo  Endpoint = "userinfo"
	Device    Endpoint = "device"
	Discovery Endpoint = "discovery"
)

func endpoints() []Endpoint {
	return []Endpoint{Authorize, Token, Metadata, API, Revoke, UserInfo, Device, Discovery}
}

// Fault is how an endpoint misbehaves. Zero values: not in that way.
type Fault struct {
	// Delay before anything else, cut short when the client leaves.
	Delay time.Duration
	// Before is called before the request is looked at; After once an answer is
	// there and all that it tells of is done, before anything of it is sent. They
	// may block, for as long as the test likes, and may be called by many
	// goroutines at once.
	Before, After func(*http.Request)
	// Status and Body answer in place of the endpoint. A Body alone has
	// status 200.
	Status      int
	Body        string
	ContentType string // of Body; "" is application/json
	// Processed, with Status or Body: what was asked is done all the same, as
	// behind a proxy that did not wait. The endpoint's own answer is lost.
	Processed bool
	// RetryAfter is sent with Status, in whole seconds; as a date with
	// RetryAfterDate.
	RetryAfter     time.Duration
	RetryAfterDate bool
	// Quirks of the token endpoint's answer.
	Quirks []Quirk
	// Drop closes the connection before the request is looked at.
	Drop bool
	// DropAfter does what was asked and then closes the connection: the answer
	// is lost.
	DropAfter bool
	// Times is how many requests it befalls. 0: all, until ClearFaults.
	Times int
}

type faults struct {
	mu      sync.Mutex
	set     map[Endpoint]*Fault
	outages []outage
}

// outage is a fault with a beginning and an end.
type outage struct {
	from, until time.Time
	fault       Fault
	endpoints   []Endpoint // empty: all
}

func newFaults() faults { return faults{set: map[Endpoint]*Fault{}} }

// Fault has an endpoint misbehave from now on, in place of what it did before.
func (s *Sandbox) Fault(e Endpoint, f Fault) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.set[e] = &f
}

// Outage has the endpoints, or all if none is named, misbehave from one moment
// until just before another, by the sandbox's clock. Times does not count, and
// what Fault has set waits until the outage is over.
func (s *Sandbox) Outage(from, until time.Time, f Fault, endpoints ...Endpoint) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.outages = append(s.faults.outages, outage{from: from, until: until, fault: f, endpoints: endpoints})
}

// ClearFaults has all endpoints behave. Outages, too, are over and do not come.
func (s *Sandbox) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	clear(s.faults.set)
	s.faults.outages = nil
}

// take returns the fault that befalls the next request.
func (f *faults) take(e Endpoint, now time.Time) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, o := range f.outages {
		if !now.Before(o.from) && now.Before(o.until) && (len(o.endpoints) == 0 || slices.Contains(o.endpoints, e)) {
			return o.fault
		}
	}
	set, ok := f.set[e]
	if !ok {
		return Fault{}
	}
	fault := *set
	if set.Times == 1 {
		delete(f.set, e)
	} else if set.Times > 1 {
		set.Times--
	}
	return fault
}

// faulty counts requests and lets faults befall them.
func (s *Sandbox) faulty(e Endpoint, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		leave, ok := s.requests.enter(e, s.config)
		defer leave()
		if !ok {
			Fault{Status: http.StatusTooManyRequests, RetryAfter: s.config.LimitRetryAfter}.answer(w, s.config.Now())
			return
		}
		f := s.faults.take(e, s.config.Now())
		f.delay(r)
		if f.Before != nil {
			f.Before(r)
		}
		if f.Drop {
			panic(http.ErrAbortHandler)
		}
		answer := newRecorder()
		replaced := f.Status != 0 || f.Body != ""
		if !replaced || f.Processed || f.DropAfter {
			next(answer, r.WithContext(withQuirks(r.Context(), f.Quirks)))
		}
		if replaced {
			answer = newRecorder()
			f.answer(answer, s.config.Now())
		}
		if f.After != nil {
			f.After(r)
		}
		if f.DropAfter {
			panic(http.ErrAbortHandler)
		}
		answer.send(w)
	})
}

func (f Fault) delay(r *http.Request) {
	if f.Delay <= 0 {
		return
	}
	timer := time.NewTimer(f.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
}

func (f Fault) answer(w http.ResponseWriter, now time.Time) {
	contentType := f.ContentType
	if contentType == "" {
		contentType = "application/json"
	}
	w.Header().Set("Content-Type", contentType)
	switch {
	case f.RetryAfter > 0 && f.RetryAfterDate:
		w.Header().Set("Retry-After", now.Add(f.RetryAfter).UTC().Format(http.TimeFormat))
	case f.RetryAfter > 0:
		w.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter.Seconds())))
	}
	if f.Status == 0 {
		f.Status = http.StatusOK
	}
	w.WriteHeader(f.Status)
	_, _ = w.Write([]byte(f.Body))
}
