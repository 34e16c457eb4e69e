package sandbox

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
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
)

// Fault is how an endpoint misbehaves. Zero values: not in that way.
type Fault struct {
	// Delay before anything else, cut short when the client leaves.
	Delay time.Duration
	// Status and Body answer in place of the endpoint. A Body alone has
	// status 200.
	Status      int
	Body        string
	ContentType string // of Body; "" is application/json
	// RetryAfter is sent with Status, in whole seconds.
	RetryAfter time.Duration
	// Drop closes the connection before the request is looked at.
	Drop bool
	// DropAfter does what was asked and then closes the connection: the answer
	// is lost.
	DropAfter bool
	// Times is how many requests it befalls. 0: all, until ClearFaults.
	Times int
}

type faults struct {
	mu  sync.Mutex
	set map[Endpoint]*Fault
}

func newFaults() faults { return faults{set: map[Endpoint]*Fault{}} }

// Fault has an endpoint misbehave from now on, in place of what it did before.
func (s *Sandbox) Fault(e Endpoint, f Fault) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.set[e] = &f
}

// ClearFaults has all endpoints behave.
func (s *Sandbox) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	clear(s.faults.set)
}

// take returns the fault that befalls the next request.
func (f *faults) take(e Endpoint) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
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
		s.requests.add(e)
		f := s.faults.take(e)
		if f.Delay > 0 {
			timer := time.NewTimer(f.Delay)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-r.Context().Done():
			}
		}
		switch {
		case f.Drop:
			panic(http.ErrAbortHandler)
		case f.DropAfter:
			next(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		case f.Status != 0 || f.Body != "":
			f.answer(w)
		default:
			next(w, r)
		}
	})
}

func (f Fault) answer(w http.ResponseWriter) {
	contentType := f.ContentType
	if contentType == "" {
		contentType = "application/json"
	}
	w.Header().Set("Content-Type", contentType)
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter.Seconds())))
	}
	if f.Status == 0 {
		f.Status = http.StatusOK
	}
	w.WriteHeader(f.Status)
	_, _ = w.Write([]byte(f.Body))
}

// ParseFault reads a fault as flags have it: token:status=503,times=3.
func ParseFault(text string) (Endpoint, Fault, error) {
	name, rest, _ := strings.Cut(text, ":")
	endpoint := Endpoint(name)
	switch endpoint {
	case Authorize, Token, Metadata, API, Revoke, UserInfo:
	default:
		return "", Fault{}, fmt.Errorf("fault %q: begin with authorize, token, metadata, api, revoke or userinfo and a colon, as in token:status=503,times=3", text)
	}
	var f Fault
	for _, part := range strings.Split(rest, ",") {
		key, value, _ := strings.Cut(part, "=")
		var err error
		switch key {
		case "delay":
			f.Delay, err = time.ParseDuration(value)
		case "status":
			f.Status, err = strconv.Atoi(value)
			if err == nil && (f.Status < 200 || f.Status > 599) {
				err = fmt.Errorf("%d is not an HTTP status", f.Status)
			}
		case "times":
			f.Times, err = strconv.Atoi(value)
		case "drop":
			f.Drop = true
		case "drop-after":
			f.DropAfter = true
		case "malformed":
			f.Body = `{"access_token": "half an ans`
		default:
			err = fmt.Errorf("%q is not one of delay=2s, status=503, times=3, drop, drop-after, malformed", key)
		}
		if err != nil {
			return "", Fault{}, fmt.Errorf("fault %q: %w", text, err)
		}
	}
	return endpoint, f, nil
}

// counters count the requests of each endpoint.
type counters struct {
	mu sync.Mutex
	n  map[Endpoint]int
}

func newCounters() counters { return counters{n: map[Endpoint]int{}} }

func (c *counters) add(e Endpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n[e]++
}

// Requests returns how many requests an endpoint has had.
func (s *Sandbox) Requests(e Endpoint) int {
	s.requests.mu.Lock()
	defer s.requests.mu.Unlock()
	return s.requests.n[e]
}
