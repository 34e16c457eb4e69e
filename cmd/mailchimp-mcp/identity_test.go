package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenvault/tokenvault/vault/client/mcpauth"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// TestNobodyIsTakenForSomebodyElse by what they put beside their own token.
func TestNobodyIsTakenForSomebodyElse(t *testing.T) {
	s := newSite(t)
	s.stack.Connect("alice", "mailchimp", vaulttest.Ada)
	s.stack.Connect("mallory", "mailchimp", vaulttest.Grace)
	ofAlice, ofMallory := "Mcp-Session-Id: "+s.begin("alice"), "Mcp-Session-Id: "+s.begin("mallory")
	const plain = `{"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "get_account", "arguments": {}}}`
	later := strings.Replace(plain, `"arguments": {}`, `"arguments": {}, `+newer, 1)
	isLater := []string{"Mcp-Method: tools/call", "Mcp-Name: get_account", "Mcp-Protocol-Version: 2026-07-28"}
	for _, row := range []struct {
		name, line, body string
		headers          []string
		isServed         bool // as mallory
	}{
		{"her own session", "POST /mcp", plain, []string{ofMallory}, true},
		{"alice's session", "POST /mcp", plain, []string{ofAlice}, false},
		{"alice's session, to end it", "DELETE /mcp", "", []string{ofAlice}, false},
		{"alice's session, with the newer revision", "POST /mcp", later, append([]string{ofAlice}, isLater...), true},
		{"alice's session after her own", "POST /mcp", plain, []string{ofMallory, ofAlice}, true},
		{"alice's session before her own", "POST /mcp", plain, []string{ofAlice, ofMallory}, false},
		{"alice's session, and two revisions", "POST /mcp", plain, []string{ofAlice, "Mcp-Protocol-Version: 2025-11-25", isLater[2]}, false},
		{"alice's session, and the newer revision only in the body", "POST /mcp", later, []string{ofAlice}, false},
		{"alice's name in headers", "POST /mcp", plain, []string{ofMallory, "X-Forwarded-User: alice", "Remote-User: alice", "Grpc-Metadata-Subject: alice"}, true},
		{"alice's name in the query", "POST /mcp?subject=alice&user=alice", plain, []string{ofMallory}, true},
		{"alice's token in the query", "POST /mcp?access_token=" + s.token("alice").Reveal(), plain, []string{ofMallory}, true},
		{"alice's name in the message", "POST /mcp", strings.Replace(plain, `"params": {`, `"subject": "alice", "params": {"subject": "alice", "_meta": {"subject": "alice"}, `, 1), []string{ofMallory}, true},
		{"another method in a header", "POST /mcp", plain, []string{ofAlice, "X-HTTP-Method-Override: DELETE"}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			text := s.raw(t, row.line, s.token("mallory"), row.body, row.headers)
			if strings.Contains(text, fmt.Sprintf(`"account_id\":\"%d`, vaulttest.Ada)) || strings.Contains(text, s.token("alice").Reveal()) {
				t.Errorf("mallory gets what is alice's: %s", text)
			}
			if isServed := strings.Contains(text, fmt.Sprintf(`account_id\":\"%d`, vaulttest.Grace)); isServed != row.isServed {
				t.Errorf("mallory gets what is hers: %t, want %t: %s", isServed, row.isServed, text)
			}
		})
	}
	if resp := request(t, http.MethodDelete, s.endpoint, s.token("alice"), "", "Mcp-Session-Id", strings.TrimPrefix(ofAlice, "Mcp-Session-Id: ")); resp.StatusCode != http.StatusNoContent {
		t.Errorf("alice's session is gone: she is answered with %d", resp.StatusCode)
	}
}

// raw sends a request as it stands, and returns the answer.
func (s *site) raw(t *testing.T, line string, token secret.String, message string, headers []string) string {
	t.Helper()
	host := strings.TrimSuffix(strings.TrimPrefix(s.endpoint, "http://"), mcpPath)
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	all := append([]string{
		line + " HTTP/1.1", "Host: " + host, "Authorization: Bearer " + token.Reveal(), "Content-Type: application/json",
		"Accept: application/json, text/event-stream", fmt.Sprintf("Content-Length: %d", len(message)),
	}, headers...)
	_, err = io.WriteString(conn, strings.Join(all, "\r\n")+"\r\n\r\n"+message)
	resp, readErr := http.ReadResponse(bufio.NewReader(conn), nil)
	if err := errors.Join(err, readErr); err != nil {
		t.Fatal(err)
	}
	return resp.Status + " " + body(t, resp)
}

// TestTokensThatNobodyHasSigned: what is in them is as it should be.
func TestTokensThatNobodyHasSigned(t *testing.T) {
	s := newSite(t)
	part := func(v map[string]any) string {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(data)
	}
	said := part(map[string]any{"iss": s.issuer.URL, "aud": s.endpoint, "sub": "alice", "exp": time.Now().Add(time.Hour).Unix()})
	signature := strings.Split(s.token("mallory").Reveal(), ".")[2]
	for name, header := range map[string]map[string]any{
		"no algorithm": {"alg": "none"}, "no algorithm in capitals": {"alg": "NONE"}, "an empty algorithm": {"alg": ""},
		"an algorithm with a shared key": {"alg": "HS256", "kid": "0"}, "another's signature": {"alg": "ES256", "kid": "0"},
		"a key of its own": {"alg": "ES256", "jwk": map[string]any{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}},
		"an extension":     {"alg": "ES256", "kid": "0", "crit": []string{"b64"}, "b64": false},
	} {
		for _, last := range []string{signature, ""} {
			if resp := post(t, s.endpoint, secret.New(part(header)+"."+said+"."+last), initialize); resp.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s, and a signature of %d bytes: status = %d, want 401", name, len(last), resp.StatusCode)
			}
		}
	}
}

// TestAStateOutlivesNoRestart without a key that the replicas share: whoever has kept it
// begins anew.
func TestAStateOutlivesNoRestart(t *testing.T) {
	stack, issuer := vaulttest.New(t, vaulttest.Config{}), vaulttest.NewIssuer(t, nil)
	token := issuer.Token(map[string]any{"aud": "mcp", "sub": "alice"})
	var states []string
	for range 2 {
		_, endpoint := startHTTP(t, vaultEnv(stack), "--issuer", issuer.URL, "--audience", "mcp")
		session := byHand(t, withToken(endpoint, token))
		for _, state := range append(states, "") {
			result, err := session.CallTool(t.Context(), &mcp.CallToolParams{
				Name: "get_account", RequestState: state, InputResponses: mcp.InputResponseMap{mcpauth.InputKey: &mcp.ElicitResult{Action: "accept"}},
			})
			switch {
			case state != "" && err == nil:
				t.Errorf("a state from before the start is taken: %v", result)
			case state == "" && (err != nil || result.RequestState == ""):
				t.Fatalf("the call says %v, %v, want that it asks", result, err)
			case state == "":
				states = append(states, result.RequestState)
			}
		}
	}
}

// byHand connects a client that hands on what the server asks.
func byHand(t *testing.T, transport mcp.Transport) *mcp.ClientSession {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1"}, &mcp.ClientOptions{
		Capabilities:   &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
		MultiRoundTrip: &mcp.MultiRoundTripOptions{Disabled: true},
	})
	session, err := client.Connect(t.Context(), transport, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

// TestTheLogHasNoLinksAndNoStates also where somebody debugs.
func TestTheLogHasNoLinksAndNoStates(t *testing.T) {
	s := newSite(t)
	secrets := map[string]string{}
	link, state := s.ask(byHand(t, withToken(s.endpoint, s.token("alice"))), "")
	secrets["state"] = state[len(state)-40:]
	_, secrets["link"], _ = strings.Cut(link, "session=")
	bob := withToken(s.endpoint, s.token("bob"))
	if _, err := byHand(t, bob).CallTool(t.Context(), &mcp.CallToolParams{Name: "get_account", RequestState: state}); err == nil {
		t.Error("a state of somebody else's is taken")
	}
	post(t, s.endpoint, s.token("bob"), `{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "get_account", "requestState": 5, "x": "`+state+link+`"}}`, "Mcp-Session-Id", s.begin("bob"))
	s.log.await(t, "made for another subject")
	wantSilent(t, s.log.String(), secrets)
}
