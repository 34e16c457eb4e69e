package mcpauth_test

import (
	"cmp"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/vault/client/mcpauth"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// message is one of MCP's over HTTP, sent without a client: a POST of alice's unless it
// says otherwise.
type message struct {
	method, body, token  string
	version, session     string // none where they are empty
	origin, host, called string // likewise; called is the method of MCP
}

// send sends it, and returns the answer, whose body is text.
func (m message) send(t *testing.T, url string) (resp *http.Response, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), cmp.Or(m.method, http.MethodPost), url, strings.NewReader(m.body))
	if err != nil {
		t.Fatal(err)
	}
	for header, value := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Authorization": "Bearer " + cmp.Or(m.token, "token-of-alice"),
		"Mcp-Protocol-Version": m.version, "Mcp-Session-Id": m.session, "Mcp-Method": m.called, "Origin": m.origin,
	} {
		if value != "" {
			req.Header.Set(header, value)
		}
	}
	req.Host = m.host
	resp, err = http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

const (
	initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`
	discover   = `{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`
)

// TestTheHandlerServesWhoMayBeServed: what the SDK's own handler looks after goes on, in
// both revisions.
func TestTheHandlerServesWhoMayBeServed(t *testing.T) {
	const newer, discovers = "2026-07-28", "server/discover"
	big := func(of string) string {
		return strings.Replace(of, `"name":"c"`, `"name":"`+strings.Repeat("c", 5<<20)+`"`, 1)
	}
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{Subject: mcpauth.FromToken})
	url := r.serveHTTP()
	for _, row := range []struct {
		name string
		sent message
		want int
	}{
		{"an older client", message{body: initialize}, 200},
		{"a newer client", message{body: discover, version: newer, called: discovers}, 200},
		{"an older client that is not known", message{body: initialize, token: "x"}, 401},
		{"a newer client that is not known", message{body: discover, version: newer, called: discovers, token: "x"}, 401},
		{"an older client's page of another site", message{body: initialize, origin: "https://evil.example"}, 403},
		{"a newer client's page of another site", message{body: discover, version: newer, called: discovers, origin: "https://evil.example"}, 403},
		{"an older client by another name of this host", message{body: initialize, host: "evil.example"}, 403},
		{"a newer client by another name of this host", message{body: discover, version: newer, called: discovers, host: "evil.example"}, 403},
		{"an older client that sends too much", message{body: big(initialize)}, 413},
		{"a newer client that sends too much", message{body: big(discover), version: newer, called: discovers}, 413},
		{"a newer client that wants a session", message{method: "GET", version: newer}, 405},
		{"a newer client that ends a session", message{method: "DELETE", version: newer}, 405},
		{"an older client without its session", message{method: "GET", version: "2025-11-25"}, 400},
		{"a revision of the past", message{body: initialize, version: "2020-01-01"}, 400},
		{"a revision of the future", message{body: strings.ReplaceAll(discover, newer, "2099-01-01"), version: "2099-01-01", called: discovers}, 400},
	} {
		t.Run(row.name, func(t *testing.T) {
			resp, body := row.sent.send(t, url)
			if resp.StatusCode != row.want {
				t.Errorf("status %d, want %d:\n%.300s", resp.StatusCode, row.want, body)
			}
			if session := resp.Header.Get("Mcp-Session-Id"); row.want == 200 && (session == "") != (row.sent.version == newer) {
				t.Errorf("the session is %q: want one for the older client alone", session)
			}
		})
	}
}

// TestASessionIsItsPersons: another one's token does not open it.
func TestASessionIsItsPersons(t *testing.T) {
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{Subject: mcpauth.FromToken})
	url := r.serveHTTP()
	id := olderClient().dial(t, as("alice", url), answers("cancel")).ID()
	for name, want := range map[string]int{"alice": 200, "bob": 403} {
		list := message{body: `{"jsonrpc":"2.0","id":7,"method":"tools/list"}`, token: "token-of-" + name, version: "2025-11-25", session: id}
		if resp, body := list.send(t, url); resp.StatusCode != want {
			t.Errorf("%s gets status %d, want %d:\n%.300s", name, resp.StatusCode, want, body)
		}
	}
}
