package marketing_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenvault/tokenvault/vault/sandbox"
)

const (
	adaKey   = "0123456789abcdef0123456789abcdef-us6"
	graceKey = "fedcba9876543210fedcba9876543210-us21"
)

// clock is the time of a sandbox, which stands still unless told.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 28, 9, 7, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// account is the API as Ada's account has it, with her key.
type account struct {
	t       *testing.T
	sandbox *sandbox.Sandbox
	server  string
	base    string
	key     string
	clock   *clock
}

func newAccount(t *testing.T, change func(*sandbox.Config)) *account {
	t.Helper()
	at := newClock()
	c := sandbox.Config{Now: at.Now}
	if change != nil {
		change(&c)
	}
	sb, err := sandbox.New(c)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sb)
	t.Cleanup(server.Close)
	return &account{t: t, sandbox: sb, server: server.URL, base: server.URL + "/mailchimp/us6/3.0", key: adaKey, clock: at}
}

// in is the same account in a subtest.
func (a *account) in(t *testing.T) *account {
	sub := *a
	sub.t = t
	return &sub
}

// reply is an answer of the API.
type reply struct {
	t      *testing.T
	what   string // was asked
	status int
	header http.Header
	size   int
	body   any
}

func (a *account) request(method, address string, body any) *http.Request {
	a.t.Helper()
	var data []byte
	switch body := body.(type) {
	case nil:
	case string:
		data = []byte(body)
	default:
		var err error
		if data, err = json.Marshal(body); err != nil {
			a.t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(a.t.Context(), method, address, bytes.NewReader(data))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth("anybody", a.key)
	return req
}

func (a *account) do(method, path string, body any) reply {
	a.t.Helper()
	return a.send(a.request(method, a.base+path, body))
}

func (a *account) send(req *http.Request) reply {
	a.t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	data, err := io.ReadAll(resp.Body)
	if closeErr := resp.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		a.t.Fatal(err)
	}
	r := reply{t: a.t, what: req.Method + " " + req.URL.RequestURI(), status: resp.StatusCode, header: resp.Header, size: len(data)}
	if len(data) > 0 {
		if err := json.Unmarshal(data, &r.body); err != nil {
			a.t.Fatalf("%s answered %d with no JSON: %.200s", r.what, r.status, data)
		}
	}
	return r
}

// get reads a resource that must be there.
func (a *account) get(path string, params ...string) reply {
	a.t.Helper()
	query := url.Values{}
	for i := 0; i+1 < len(params); i += 2 {
		query.Set(params[i], params[i+1])
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return a.do(http.MethodGet, path, nil).ok(http.StatusOK)
}

// ok ends the test unless the answer has a status.
func (r reply) ok(status int) reply {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("%s answered %d %v, want %d", r.what, r.status, r.body, status)
	}
	return r
}

// refused ends the test unless the answer is a problem with a status and a title,
// whose detail or errors have some words.
func (r reply) refused(status int, title, words string) {
	r.t.Helper()
	r.ok(status)
	if got := r.header.Get("Content-Type"); !strings.HasPrefix(got, "application/problem+json") {
		r.t.Errorf("%s: Content-Type is %q, want application/problem+json", r.what, got)
	}
	if got := r.text("title"); got != title {
		r.t.Errorf("%s: title is %q, want %q", r.what, got, title)
	}
	if got := r.number("status"); got != status {
		r.t.Errorf("%s: the body's status is %d, want %d", r.what, got, status)
	}
	for _, name := range []string{"type", "detail", "instance"} {
		if r.text(name) == "" {
			r.t.Errorf("%s: the problem has no %s", r.what, name)
		}
	}
	if said := fmt.Sprint(r.at("detail"), r.at("errors")); !strings.Contains(said, words) {
		r.t.Errorf("%s: says %q, want %q in it", r.what, said, words)
	}
}

// at returns what is at a path of names and indexes. Nil: nothing.
func (r reply) at(path ...any) any {
	node := r.body
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := node.(map[string]any)
			node = m[step]
		case int:
			l, _ := node.([]any)
			if step >= len(l) {
				return nil
			}
			node = l[step]
		}
	}
	return node
}

func (r reply) text(path ...any) string { s, _ := r.at(path...).(string); return s }

func (r reply) number(path ...any) int { n, _ := r.at(path...).(float64); return int(n) }

func (r reply) list(path ...any) []any { l, _ := r.at(path...).([]any); return l }

// each returns one text of every item of a list.
func (r reply) each(list, name string) []string {
	var all []string
	for i := range r.list(list) {
		all = append(all, r.text(list, i, name))
	}
	return all
}

// news is the path of the account's first list, of 250 members.
func (a *account) news() string {
	a.t.Helper()
	return "/lists/" + a.get("/lists").text("lists", 0, "id")
}

// campaignIn returns the path of the first campaign of a status.
func (a *account) campaignIn(status string) string {
	a.t.Helper()
	return "/campaigns/" + a.get("/campaigns", "status", status).text("campaigns", 0, "id")
}

type fields = map[string]any
