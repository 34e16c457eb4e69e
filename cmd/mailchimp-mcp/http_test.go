package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// site is a mailchimp-mcp that people sign in to.
type site struct {
	*process
	t        *testing.T
	stack    *vaulttest.Stack
	issuer   *vaulttest.Issuer
	endpoint string
}

func newSite(t *testing.T, args ...string) *site {
	t.Helper()
	s := &site{t: t, stack: vaulttest.New(t, vaulttest.Config{}), issuer: vaulttest.NewIssuer(t, nil)}
	s.process, s.endpoint = startHTTP(t, vaultEnv(s.stack), append([]string{"--issuer", s.issuer.URL}, args...)...)
	return s
}

// token is one of a person who has signed in.
func (s *site) token(subject string, more ...any) secret.String {
	claims := map[string]any{"aud": s.endpoint, "sub": subject}
	for i := 0; i < len(more); i += 2 {
		claims[more[i].(string)] = more[i+1]
	}
	return s.issuer.Token(claims)
}

// post sends a request of MCP without a client.
func post(t *testing.T, endpoint string, token secret.String, body string, headers ...string) *http.Response {
	t.Helper()
	return request(t, http.MethodPost, endpoint, token, body, headers...)
}

func request(t *testing.T, method, endpoint string, token secret.String, body string, headers ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, endpoint, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if !token.IsZero() {
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	for i := 0; i < len(headers); i += 2 {
		if req.Header.Set(headers[i], headers[i+1]); headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

const (
	initialize = `{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "client", "version": "1"}}}`
	listTools  = `{"jsonrpc": "2.0", "id": 2, "method": "tools/list"}`
)

// begin begins a session of the older revision, and returns its id.
func (s *site) begin(subject string) string {
	s.t.Helper()
	resp := post(s.t, s.endpoint, s.token(subject), initialize)
	id := resp.Header.Get("Mcp-Session-Id")
	if text := body(s.t, resp); resp.StatusCode != http.StatusOK || id == "" {
		s.t.Fatalf("initialize is answered with %d: %s", resp.StatusCode, text)
	}
	return id
}

func TestOverHTTPEachPersonHasTheirOwnAccount(t *testing.T) {
	for _, revision := range revisions() {
		t.Run(revision, func(t *testing.T) {
			s := newSite(t)
			alice, bob := newPerson(t, s.stack, vaulttest.Ada), newPerson(t, s.stack, vaulttest.Grace)
			tokens := []secret.String{s.token("alice"), s.token("bob")}
			ofAlice := alice.connect(revision, withToken(s.endpoint, tokens[0]))
			ofBob := bob.connect(revision, withToken(s.endpoint, tokens[1]))
			for range 2 { // the first time round, they connect
				wantAccount(t, ofAlice, vaulttest.Ada)
				wantAccount(t, ofBob, vaulttest.Grace)
			}
			if names := toolNames(t, ofBob); !names["get_account"] || names["create_campaign_draft"] {
				t.Errorf("the tools are %v, want those that read and no others", names)
			}
			secrets := secretsOf(t, s.stack, "alice", "bob")
			secrets["access token of alice"], secrets["access token of bob"] = tokens[0].Reveal(), tokens[1].Reveal()
			wantSilent(t, s.log.String(), secrets)
		})
	}
}

func TestASessionIsItsPersonsAlone(t *testing.T) {
	s := newSite(t)
	id := s.begin("alice")
	for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
		if resp := request(t, method, s.endpoint, s.token("bob"), listTools, "Mcp-Session-Id", id); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s with the session of somebody else is answered with %d, want 403", method, resp.StatusCode)
		}
	}
	resp := post(t, s.endpoint, s.token("alice"), listTools, "Mcp-Session-Id", id)
	if text := body(t, resp); resp.StatusCode != http.StatusOK || !strings.Contains(text, "get_account") {
		t.Errorf("the session's own person gets %d: %s", resp.StatusCode, text)
	}
}

func TestWhoeverBeginsTooManySessionsEndsTheirOldest(t *testing.T) {
	s := newSite(t)
	others, first := s.begin("bob"), s.begin("alice")
	second := s.begin("alice")
	for range maxSessions - 1 {
		s.begin("alice")
	}
	// It ends beside the request that is one too many, and perhaps after that.
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if post(t, s.endpoint, s.token("alice"), listTools, "Mcp-Session-Id", first).StatusCode == http.StatusNotFound {
			break
		}
	}
	for _, row := range []struct {
		name, subject, id string
		want              int
	}{{"the oldest", "alice", first, http.StatusNotFound}, {"the next", "alice", second, http.StatusOK}, {"that of somebody else", "bob", others, http.StatusOK}} {
		if resp := post(t, s.endpoint, s.token(row.subject), listTools, "Mcp-Session-Id", row.id); resp.StatusCode != row.want {
			t.Errorf("%s is answered with %d, want %d", row.name, resp.StatusCode, row.want)
		}
	}
}

func TestWhatBrowsersMaySend(t *testing.T) {
	s := newSite(t, "--public-url", "https://mcp.example.com")
	s.endpoint = "http://" + s.log.await(t, `msg=serving http=(\S+)`) + mcpPath // the log's is the public one
	token := s.issuer.Token(map[string]any{"aud": "https://mcp.example.com/mcp", "sub": "alice"})
	for _, row := range []struct {
		name    string
		headers []string
		want    int
	}{
		{"no browser", nil, http.StatusOK},
		{"through a proxy that keeps the name", []string{"Host", "mcp.example.com"}, http.StatusOK},
		{"a page of its own", []string{"Origin", "https://mcp.example.com", "Host", "mcp.example.com"}, http.StatusOK},
		{"a page of another site", []string{"Origin", "https://evil.example"}, http.StatusForbidden},
		{"a page of this machine", []string{"Origin", "http://127.0.0.1:3000"}, http.StatusForbidden},
		{"a page of no origin", []string{"Origin", "null"}, http.StatusForbidden},
		{"a name that was made to lead here", []string{"Host", "evil.example"}, http.StatusForbidden},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, token := range []secret.String{token, {}} {
				want := row.want
				if token.IsZero() && want == http.StatusOK {
					want = http.StatusUnauthorized
				}
				if resp := post(t, s.endpoint, token, initialize, row.headers...); resp.StatusCode != want {
					t.Errorf("status = %d, want %d: %s", resp.StatusCode, want, body(t, resp))
				}
			}
		})
	}
}

func TestARequestHasBounds(t *testing.T) {
	s := newSite(t)
	large := `{"jsonrpc": "2.0", "id": 1, "method": "` + strings.Repeat("x", maxBody) + `"}`
	if resp := post(t, s.endpoint, s.token("alice"), large); resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body is answered with %d, want 413", resp.StatusCode)
	}
	if resp := post(t, s.endpoint, s.token("alice"), initialize, "X-Large", strings.Repeat("x", 2*maxHeader)); resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a large header is answered with %d, want 431", resp.StatusCode)
	}
}

func TestItTellsThatItIsThere(t *testing.T) {
	s := newSite(t)
	resp := request(t, http.MethodGet, strings.TrimSuffix(s.endpoint, mcpPath)+"/healthz", secret.String{}, "")
	if text := body(t, resp); resp.StatusCode != http.StatusOK || text != "ok\n" {
		t.Errorf("/healthz is answered with %d, %q", resp.StatusCode, text)
	}
}

// TestItEndsThoughStreamsAreOpen guards restarts: clients keep a stream for messages
// open as long as they run.
func TestItEndsThoughStreamsAreOpen(t *testing.T) {
	s := newSite(t)
	stream := request(t, http.MethodGet, s.endpoint, s.token("alice"), "", "Mcp-Session-Id", s.begin("alice"))
	if stream.StatusCode != http.StatusOK {
		t.Fatalf("the stream is answered with %d", stream.StatusCode)
	}
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := s.awaitEnd(); err != nil {
		t.Errorf("it ends with %v:\n%s", err, s.log)
	}
	if log := s.log.String(); strings.Contains(log, "cut off") || !strings.Contains(log, "msg=stopped") {
		t.Errorf("the log says\n%s", log)
	}
}

// TestReplicasKnowEachOthersState has a call begin at one replica and go on at another, as
// a load balancer would have it.
func TestReplicasKnowEachOthersState(t *testing.T) {
	stack, issuer := vaulttest.New(t, vaulttest.Config{}), vaulttest.NewIssuer(t, nil)
	key := base64.StdEncoding.EncodeToString([]byte(rand.Text() + rand.Text()))
	var replicas []string
	for range 2 {
		_, endpoint := startHTTP(t, vaultEnv(stack, "STATE_KEY="+key), "--issuer", issuer.URL, "--audience", "mcp", "--state-key", "env:STATE_KEY")
		replicas = append(replicas, endpoint)
	}
	token := issuer.Token(map[string]any{"aud": "mcp", "sub": "alice"})
	balancer := &balancing{RoundTripper: showing(token), hosts: [2]string{hostOf(t, replicas[0]), hostOf(t, replicas[1])}}
	alice := newPerson(t, stack, vaulttest.Ada)
	session := alice.connect("2026-07-28", &mcp.StreamableClientTransport{Endpoint: replicas[0], HTTPClient: &http.Client{Transport: balancer}, MaxRetries: -1})
	wantAccount(t, session, vaulttest.Ada)
	if links := alice.links(); len(links) != 1 {
		t.Errorf("the person was asked to open %q, want one link", links)
	}
}

func hostOf(t *testing.T, endpoint string) string {
	t.Helper()
	u, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// balancing sends requests to each of two hosts in turn.
type balancing struct {
	http.RoundTripper
	hosts [2]string
	sent  atomic.Int64
}

func (b *balancing) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.URL.Host = b.hosts[b.sent.Add(1)%2]
	req.Host = req.URL.Host
	return b.RoundTripper.RoundTrip(req)
}

func TestOverTLS(t *testing.T) {
	stack := vaulttest.New(t, vaulttest.Config{TLS: true})
	issuer := vaulttest.NewIssuer(t, nil)
	certificate, key := writePair(t, stack.Authority)
	env := append(vaultEnv(stack), "TOKENVAULT_CA="+stack.Authority.File)
	_, endpoint := startHTTP(t, env, "--issuer", issuer.URL, "--tls-cert", certificate, "--tls-key", key)
	if !strings.HasPrefix(endpoint, "https://127.0.0.1:") {
		t.Fatalf("the endpoint is %s", endpoint)
	}
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(protocol, func(t *testing.T) {
			transport := &http.Transport{TLSClientConfig: stack.Authority.ClientConfig(nil), ForceAttemptHTTP2: protocol == "HTTP/2.0"}
			t.Cleanup(transport.CloseIdleConnections)
			subject := "alice" + protocol
			web := &http.Client{Transport: tokenOver{transport, issuer.Token(map[string]any{"aud": endpoint, "sub": subject}), protocol}}
			for _, revision := range revisions() {
				session := newPerson(t, stack, vaulttest.Ada).connect(revision, &mcp.StreamableClientTransport{Endpoint: endpoint, HTTPClient: web, MaxRetries: -1})
				wantAccount(t, session, vaulttest.Ada)
				if err := session.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// tokenOver shows a token, and refuses answers over another protocol.
type tokenOver struct {
	http.RoundTripper
	token    secret.String
	protocol string
}

func (o tokenOver) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+o.token.Reveal())
	resp, err := o.RoundTripper.RoundTrip(req)
	if err == nil && resp.Proto != o.protocol {
		return nil, errors.Join(fmt.Errorf("the answer comes over %s", resp.Proto), resp.Body.Close())
	}
	return resp, err
}
