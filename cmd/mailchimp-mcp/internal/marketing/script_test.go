package marketing_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/marketing"
)

// reply is what a server answers once.
type reply struct {
	status      int
	contentType string // empty: application/problem+json
	body        string
	retryAfter  string
	err         error // in place of an answer
}

func ok(body string) reply           { return reply{status: 200, body: body} }
func problem(status int) reply       { return reply{status: status, body: `{"title":"No"}`} }
func bare(status int) reply          { return reply{status: status, contentType: "text/html", body: "<html>"} }
func broken(err error) reply         { return reply{err: err} }
func (r reply) after(s string) reply { r.retryAfter = s; return r }

// script answers one request after the other, without sockets, so that it can be used
// under testing/synctest.
type script struct {
	mu      sync.Mutex
	replies []reply
	seen    []string
}

// RoundTrip implements http.RoundTripper.
func (s *script) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, req.Method+" "+req.URL.Path)
	if len(s.replies) == 0 {
		return nil, errors.New("the script has ended")
	}
	r := s.replies[0]
	s.replies = s.replies[1:]
	if r.err != nil {
		return nil, r.err
	}
	h := http.Header{"Content-Type": {"application/problem+json"}}
	if r.contentType != "" {
		h.Set("Content-Type", r.contentType)
	}
	if r.retryAfter != "" {
		h.Set("Retry-After", r.retryAfter)
	}
	return &http.Response{StatusCode: r.status, Header: h, Body: io.NopCloser(strings.NewReader(r.body)), Request: req}, nil
}

// play returns a client whose requests get these replies.
func play(t *testing.T, replies ...reply) (*marketing.Client, *script) {
	t.Helper()
	s := &script{replies: replies}
	c, err := marketing.New(marketing.Config{HTTP: &http.Client{Transport: s}, Limiter: marketing.NewLimiter()})
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

func pathOf(t *testing.T, parts ...string) marketing.Path {
	t.Helper()
	path, err := marketing.NewPath(parts...)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
