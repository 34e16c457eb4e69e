package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// What one person who is let in may take from the others: the tests send by hand what
// no client does.

// newer is what a request of the newer revision says of itself.
const newer = `"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientInfo": {"name": "client", "version": "1"}, "io.modelcontextprotocol/clientCapabilities": {}}`

// TestARequestBringsOneMessage: a batch of 1 MiB has 20,000 messages in it, and the
// answers to them hundreds of megabytes.
func TestARequestBringsOneMessage(t *testing.T) {
	s := newSite(t)
	session := s.begin("mallory")
	for name, headers := range map[string][]string{
		"in a session": {"Mcp-Session-Id", session}, "of the first revision with HTTP": {"Mcp-Session-Id", session, "Mcp-Protocol-Version", "2025-03-26"},
		"without a session": nil, "of the newer revision": {"Mcp-Protocol-Version", "2026-07-28"},
	} {
		resp := post(t, s.endpoint, s.token("mallory"), " \n["+listTools+"]", headers...)
		if text := body(t, resp); resp.StatusCode != http.StatusBadRequest || !strings.Contains(text, "one message") {
			t.Errorf("a batch %s is answered with %d: %.100s; want 400", name, resp.StatusCode, text)
		}
	}
}

// TestNobodyListensForWhatDoesNotCome: the tools stay as they are, and a stream that
// waits for news of them would outlive its token, and go on in a session when its client
// has gone.
func TestNobodyListensForWhatDoesNotCome(t *testing.T) {
	s := newSite(t)
	const listen = `{"jsonrpc": "2.0", "id": 7, "method": "subscriptions/listen", "params": {"notifications": {"toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true, "resourceSubscriptions": ["x"]}, ` + newer + `}}`
	for name, row := range map[string]struct {
		body    string
		headers []string
	}{
		"of the newer revision": {listen, []string{"Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "subscriptions/listen"}},
		"in a session":          {strings.Replace(listen, ", "+newer, "", 1), []string{"Mcp-Session-Id", s.begin("mallory")}},
	} {
		t.Run(name, func(t *testing.T) {
			late := time.AfterFunc(patience, func() { t.Error("the stream does not end"); _ = s.Process.Kill() })
			defer late.Stop()
			if text := body(t, post(t, s.endpoint, s.token("mallory"), row.body, row.headers...)); !strings.Contains(text, `"id":7`) {
				t.Errorf("the answer is %s, want one to the request", text)
			}
		})
	}
}

// TestCallsCountWhenTheirRequestsHaveGone: in a session, a call goes on when its client
// has closed the connection. Whoever closes and calls again would have any number wait.
func TestCallsCountWhenTheirRequestsHaveGone(t *testing.T) {
	s := newSite(t)
	asks := strings.Replace(initialize, `"capabilities": {}`, `"capabilities": {"elicitation": {"url": {}}}`, 1)
	resp := post(t, s.endpoint, s.token("mallory"), asks)
	headers := []string{"Mcp-Session-Id", resp.Header.Get("Mcp-Session-Id"), "Mcp-Protocol-Version", "2025-11-25"}
	call := func(id int) string {
		return fmt.Sprintf(`{"jsonrpc": "2.0", "id": %d, "method": "tools/call", "params": {"name": "get_account", "arguments": {}}}`, id)
	}
	if text := body(t, post(t, s.endpoint, s.token("mallory"), call(1), headers...)); !strings.Contains(text, "-32042") {
		t.Fatalf("the first call is answered with %s, want a link", text)
	}
	gone, goAway := context.WithCancel(t.Context())
	defer goAway()
	answers := make(chan string, maxCalls+1)
	for id := range maxCalls + 1 { // the same call waits for the person
		go func() { answers <- send(gone, s, "mallory", call(2+id), headers...) }()
	}
	const refused = "too many of your calls are under way"
	select {
	case text := <-answers:
		if !strings.Contains(text, refused) {
			t.Errorf("the first answer is %s, want that there are too many", text)
		}
	case <-time.After(patience):
		t.Fatal("all calls wait")
	}
	goAway()
	for range maxCalls {
		<-answers
	}
	if text := body(t, post(t, s.endpoint, s.token("mallory"), call(1000), headers...)); !strings.Contains(text, refused) {
		t.Errorf("when the clients have gone, a call is answered with %s, want that there are too many", text)
	}
	wantAccount(t, newPerson(t, s.stack, vaulttest.Ada).connect("2025-11-25", withToken(s.endpoint, s.token("alice"))), vaulttest.Ada)
}

// send is post for another goroutine: it returns the answer, or the error as a text.
func send(ctx context.Context, s *site, subject, message string, headers ...string) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.endpoint, strings.NewReader(message))
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := showing(s.token(subject)).RoundTrip(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return errors.Join(fmt.Errorf("%d, %s", resp.StatusCode, text), err).Error()
}

// TestSessionsAreBoundedThoughManyBeginAtOnce.
func TestSessionsAreBoundedThoughManyBeginAtOnce(t *testing.T) {
	s := newSite(t)
	var mu sync.Mutex
	var ids []string
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			for range maxSessions {
				resp := post(t, s.endpoint, s.token("mallory"), initialize)
				mu.Lock()
				ids = append(ids, resp.Header.Get("Mcp-Session-Id"))
				mu.Unlock()
			}
		})
	}
	all.Wait()
	// Those that are too many end beside the requests, and perhaps after them.
	for deadline := time.Now().Add(patience); len(ids) > maxSessions; {
		if time.Now().After(deadline) {
			t.Fatalf("%d sessions of one person go on, want %d", len(ids), maxSessions)
		}
		ids = slices.DeleteFunc(ids, func(id string) bool {
			return post(t, s.endpoint, s.token("mallory"), listTools, "Mcp-Session-Id", id).StatusCode == http.StatusNotFound
		})
	}
	if len(ids) != maxSessions {
		t.Errorf("%d sessions go on, want %d", len(ids), maxSessions)
	}
}

// TestBodiesOfOnePersonAreBounded together: what is read of them takes many times as
// much memory.
func TestBodiesOfOnePersonAreBounded(t *testing.T) {
	s := newSite(t)
	const full = maxBodies / maxBody
	var open []*io.PipeWriter
	statuses := make(chan string, full)
	for range full {
		r, w := io.Pipe()
		open = append(open, w)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.endpoint, r)
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = maxBody
		req.Header.Set("Content-Type", "application/json")
		go func() {
			resp, err := showing(s.token("mallory")).RoundTrip(req)
			if err != nil {
				statuses <- err.Error()
				return
			}
			_ = resp.Body.Close()
			statuses <- resp.Status
		}()
		if _, err := io.WriteString(w, "{"); err != nil { // it is on its way
			t.Fatal(err)
		}
	}
	large := strings.Repeat(" ", maxBody-len(initialize)) + initialize
	for deadline := time.Now().Add(patience); ; {
		resp := post(t, s.endpoint, s.token("mallory"), large)
		if resp.StatusCode == http.StatusTooManyRequests && resp.Header.Get("Retry-After") != "" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("one more is answered with %d, want 429", resp.StatusCode)
		}
	}
	if resp := post(t, s.endpoint, s.token("alice"), large); resp.StatusCode != http.StatusOK {
		t.Errorf("that of somebody else is answered with %d", resp.StatusCode)
	}
	for _, w := range open {
		_ = w.CloseWithError(errors.New("the client goes"))
		<-statuses
	}
	for deadline := time.Now().Add(patience); ; {
		resp := post(t, s.endpoint, s.token("mallory"), large)
		if resp.StatusCode == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("afterwards one is answered with %d, want 200", resp.StatusCode)
		}
	}
}
