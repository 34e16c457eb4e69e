package mcpauth_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/vault/client/mcpauth"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// TestTheHandlerServesWhoMayBeServed: what the SDK's own handler looks after goes on, in
// both revisions.
func TestTheHandlerServesWhoMayBeServed(t *testing.T) {
	const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`
	const discover = `{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`
	const newer = "2026-07-28"
	big := func(of string) string {
		return strings.Replace(of, `"name":"c"`, `"name":"`+strings.Repeat("c", 5<<20)+`"`, 1)
	}
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{Subject: mcpauth.FromToken})
	url := r.serveHTTP()
	for _, row := range []struct {
		name, method, body, version, origin, host, token string
		want                                             int
	}{
		{"an older client", "POST", initialize, "", "", "", "token-of-alice", 200},
		{"a newer client", "POST", discover, newer, "", "", "token-of-alice", 200},
		{"an older client that is not known", "POST", initialize, "", "", "", "x", 401},
		{"a newer client that is not known", "POST", discover, newer, "", "", "x", 401},
		{"an older client's page of another site", "POST", initialize, "", "https://evil.example", "", "token-of-alice", 403},
		{"a newer client's page of another site", "POST", discover, newer, "https://evil.example", "", "token-of-alice", 403},
		{"an older client by another name of this host", "POST", initialize, "", "", "evil.example", "token-of-alice", 403},
		{"a newer client by another name of this host", "POST", discover, newer, "", "evil.example", "token-of-alice", 403},
		{"an older client that sends too much", "POST", big(initialize), "", "", "", "token-of-alice", 413},
		{"a newer client that sends too much", "POST", big(discover), newer, "", "", "token-of-alice", 413},
		{"a newer client that wants a session", "GET", "", newer, "", "", "token-of-alice", 405},
		{"a newer client that ends a session", "DELETE", "", newer, "", "", "token-of-alice", 405},
		{"an older client without its session", "GET", "", "2025-11-25", "", "", "token-of-alice", 400},
		{"a revision of the past", "POST", initialize, "2020-01-01", "", "", "token-of-alice", 400},
		{"a revision of the future", "POST", strings.ReplaceAll(discover, newer, "2099-01-01"), "2099-01-01", "", "", "token-of-alice", 400},
	} {
		t.Run(row.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), row.method, url, strings.NewReader(row.body))
			if err != nil {
				t.Fatal(err)
			}
			for header, value := range map[string]string{
				"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Authorization": "Bearer " + row.token,
				"Mcp-Protocol-Version": row.version, "Origin": row.origin,
			} {
				if value != "" {
					req.Header.Set(header, value)
				}
			}
			if row.version != "" {
				req.Header.Set("Mcp-Method", "server/discover")
			}
			req.Host = row.host
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != row.want {
				t.Errorf("status %d, want %d:\n%.300s", resp.StatusCode, row.want, body)
			}
			if session := resp.Header.Get("Mcp-Session-Id"); row.want == 200 && (session == "") != (row.version == newer) {
				t.Errorf("the session is %q: want one for the older client alone", session)
			}
		})
	}
}

// TestASessionIsItsPersons: another one's token does not open it.
func TestASessionIsItsPersons(t *testing.T) {
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{Subject: mcpauth.FromToken})
	url := r.serveHTTP()
	id := kinds()[1].dial(t, as("alice", url), answers("cancel")).ID()
	for name, want := range map[string]int{"alice": 200, "bob": 403} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", url, strings.NewReader(`{"jsonrpc":"2.0","id":7,"method":"tools/list"}`))
		if err != nil {
			t.Fatal(err)
		}
		for header, value := range map[string]string{
			"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Authorization": fmt.Sprintf("Bearer token-of-%s", name),
			"Mcp-Protocol-Version": "2025-11-25", "Mcp-Session-Id": id,
		} {
			req.Header.Set(header, value)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s gets status %d, want %d", name, resp.StatusCode, want)
		}
	}
}
