package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// TestItEndsThoughCallsWait guards restarts: a call waits for a person for most of a
// minute.
func TestItEndsThoughCallsWait(t *testing.T) {
	s := newSite(t)
	asks := strings.Replace(initialize, `"capabilities": {}`, `"capabilities": {"elicitation": {"url": {}}}`, 1)
	resp := post(t, s.endpoint, s.token("alice"), asks)
	headers := []string{"Mcp-Session-Id", resp.Header.Get("Mcp-Session-Id"), "Mcp-Protocol-Version", "2025-11-25"}
	const call = `{"jsonrpc": "2.0", "id": %d, "method": "tools/call", "params": {"name": "get_account", "arguments": {}}}`
	if text := body(t, post(t, s.endpoint, s.token("alice"), fmt.Sprintf(call, 1), headers...)); !strings.Contains(text, "-32042") {
		t.Fatalf("the first call is answered with %s, want a link", text)
	}
	answers := make(chan string, 2)
	for range 2 { // the server refuses the second one: the first has begun by then
		go func() { answers <- send(t.Context(), s, "alice", fmt.Sprintf(call, 2), headers...) }()
	}
	if text := <-answers; !strings.Contains(text, "duplicate in-flight") {
		t.Fatalf("of two calls with one id, the first to be answered is told %s", text)
	}
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if text := <-answers; !strings.Contains(text, "this server is about to stop") {
		t.Errorf("the call that waits is answered with %s, want that the server stops", text)
	}
	if err := s.awaitEnd(); err != nil {
		t.Errorf("it ends with %v", err)
	}
	if log := s.log.String(); strings.Contains(log, "cut off") || !strings.Contains(log, "msg=stopped") {
		t.Errorf("the log says\n%s", log)
	}
}
