package sandbox

import (
	"slices"
	"sync"
	"time"
)

// maxRequestTimes is how many request times are kept of each endpoint.
const maxRequestTimes = 1 << 17

// requestLog is what the sandbox knows of the requests of each endpoint.
type requestLog struct {
	mu   sync.Mutex
	seen map[Endpoint]*traffic
}

// traffic is the requests of one endpoint.
type traffic struct {
	total, limited int
	now, peak      int // under way at the same time
	times          []time.Time
	oldest         int // index in times, once that is full
	second         int64
	inSecond       int
}

func newRequestLog() requestLog { return requestLog{seen: map[Endpoint]*traffic{}} }

func (l *requestLog) of(e Endpoint) *traffic {
	t, ok := l.seen[e]
	if !ok {
		t = &traffic{}
		l.seen[e] = t
	}
	return t
}

// enter counts a request that has come. ok is false when it is one too many;
// leave is called at its end either way.
func (l *requestLog) enter(e Endpoint, c Config) (leave func(), ok bool) {
	now := c.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.of(e)
	t.total++
	t.now++
	t.peak = max(t.peak, t.now)
	if len(t.times) < maxRequestTimes {
		t.times = append(t.times, now)
	} else {
		t.times[t.oldest] = now
		t.oldest = (t.oldest + 1) % maxRequestTimes
	}
	if second := now.Unix(); second != t.second {
		t.second, t.inSecond = second, 0
	}
	t.inSecond++
	ok = (c.MaxConcurrent == 0 || t.now <= c.MaxConcurrent) && (c.MaxPerSecond == 0 || t.inSecond <= c.MaxPerSecond)
	if !ok {
		t.limited++
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		t.now--
	}, ok
}

// refuse counts a request that was answered with 429 before it could enter.
func (l *requestLog) refuse(e Endpoint, c Config) {
	leave, ok := l.enter(e, c)
	leave()
	if !ok {
		return // counted
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of(e).limited++
}

// look returns a copy of what is known of an endpoint, without the times.
func (l *requestLog) look(e Endpoint) traffic {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := *l.of(e)
	t.times = nil
	return t
}

// Requests returns how many requests an endpoint has had.
func (s *Sandbox) Requests(e Endpoint) int { return s.requests.look(e).total }

// LimitedRequests returns how many of an endpoint's requests were answered with
// 429 for going over MaxConcurrent, MaxPerSecond or MaxConnections.
func (s *Sandbox) LimitedRequests(e Endpoint) int { return s.requests.look(e).limited }

// PeakConcurrency returns how many requests an endpoint has had under way at the
// same time at most, those above a limit included.
func (s *Sandbox) PeakConcurrency(e Endpoint) int { return s.requests.look(e).peak }

// RequestTimes returns when an endpoint's requests came, by the sandbox's clock,
// the first one first. The last 131,072 are kept.
func (s *Sandbox) RequestTimes(e Endpoint) []time.Time {
	s.requests.mu.Lock()
	defer s.requests.mu.Unlock()
	t := s.requests.of(e)
	return slices.Concat(t.times[t.oldest:], t.times[:t.oldest])
}
