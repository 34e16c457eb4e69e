package mcpauth_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"google.golang.org/grpc"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/client"
	"github.com/tokenvault/tokenvault/vault/client/mcpauth"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
	"github.com/tokenvault/tokenvault/vault/vaulttest/mcptest"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

// rig is a vault with an MCP server that has one tool, ping.
type rig struct {
	*vaulttest.Stack
	t       testing.TB
	vault   *client.Client
	auth    *mcpauth.Auth
	server  *mcp.Server
	log     *vaulttest.Log
	rpcs    *counter
	calls   *counter // of the tool's own code
	ended   chan struct{}
	persons sync.WaitGroup
	// seats are the connections that the provider has for an account.
	seats chan struct{}

	provider string
}

// counter counts by name.
type counter struct {
	mu sync.Mutex
	of map[string]int
}

func (c *counter) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[string]int{}
	}
	c.of[name]++
}

func (c *counter) get(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of[name]
}

// newRig starts everything. c is filled in where it says nothing.
func newRig(t testing.TB, stack vaulttest.Config, c mcpauth.Config) *rig {
	t.Helper()
	return rigOn(t, vaulttest.New(t, stack), c)
}

// rigOn is newRig on a stack that is there.
func rigOn(t testing.TB, stack *vaulttest.Stack, c mcpauth.Config) *rig {
	t.Helper()
	r := &rig{Stack: stack, t: t, log: &vaulttest.Log{}, rpcs: &counter{}, calls: &counter{}, ended: make(chan struct{}, 1000)}
	var err error
	r.vault, err = client.New(t.Context(), r.GRPCAddress, client.WithToken(r.Token.Reveal()), client.WithDialOptions(grpc.WithChainUnaryInterceptor(r.count)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.vault.Close() })
	c.Vault, c.DisplayName, c.Provider = r.vault, "Mailchimp", cmp.Or(c.Provider, "mailchimp")
	r.provider, r.seats = c.Provider, make(chan struct{}, 10)
	c.Log = slog.New(slog.NewTextHandler(r.log, nil))
	if c.Subject == nil {
		c.Subject = mcpauth.Fixed("alice")
	}
	if r.auth, err = mcpauth.New(c); err != nil {
		t.Fatal(err)
	}
	r.auth.SetClock(r.Clock.Now)
	t.Cleanup(r.persons.Wait)
	t.Cleanup(func() { _ = r.auth.Close() })
	r.server = mcp.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	r.server.AddReceivingMiddleware(r.told)
	mcp.AddTool(r.server, &mcp.Tool{Name: "ping"}, mcpauth.Tool(r.auth, r.ping))
	mcp.AddTool(r.server, &mcp.Tool{Name: "pong"}, mcpauth.Tool(r.auth, r.ping))
	return r
}

func (r *rig) count(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	r.rpcs.add(method[strings.LastIndex(method, "/")+1:])
	return invoke(ctx, method, req, reply, cc, opts...)
}

// told tells when a call has ended at the server.
func (r *rig) told(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		if method == "tools/call" {
			defer func() { r.ended <- struct{}{} }()
		}
		return next(ctx, method, req)
	}
}

// in and out are the tool's.
type in struct {
	Text string `json:"text,omitempty"`
	More int    `json:"more,omitempty"`
}

type out struct {
	Account string `json:"account"`
	Text    string `json:"text"`
}

// ping calls the provider's API as the person, and tells who they are there.
func (r *rig) ping(ctx context.Context, req *mcp.CallToolRequest, conn *mcpauth.Connection, args in) (*mcp.CallToolResult, out, error) {
	r.calls.add(req.Params.Name)
	if req.Params.RequestState != "" || len(req.Params.InputResponses) != 0 {
		return nil, out{}, errors.New("the tool sees what is not its own")
	}
	credentials, err := conn.Credentials(ctx)
	if err != nil {
		return nil, out{}, err
	}
	if conn.Provider() == "acme" { // has no API at the sandbox
		return nil, out{Text: args.Text, Account: credentials.Account.ID}, nil
	}
	get, err := http.NewRequestWithContext(ctx, http.MethodGet, "/ping", nil)
	if err != nil {
		return nil, out{}, err
	}
	r.seats <- struct{}{}
	defer func() { <-r.seats }()
	resp, err := conn.HTTPClient().Do(get)
	if err != nil {
		return nil, out{}, fmt.Errorf("ping: %w", err)
	}
	_ = resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return nil, out{Text: args.Text, Account: credentials.Account.ID}, nil
	case http.StatusUnauthorized:
		return nil, out{}, fmt.Errorf("ping: %w", conn.Refused(errors.New("401")))
	default:
		return nil, out{}, fmt.Errorf("ping: status %d", resp.StatusCode)
	}
}

// person answers what the client asks.
type person func(ctx context.Context, link string) (action string)

// approve has somebody consent meanwhile, as one of the sandbox's accounts.
func (r *rig) approve(account int) person {
	return func(_ context.Context, link string) string {
		r.persons.Go(func() { r.open(link, account) })
		return "accept"
	}
}

// open has somebody open a link, and consent.
func (r *rig) open(link string, account int) {
	page, err := sandbox.Person{Client: r.NewBrowser()}.Approve(context.Background(), link, account)
	if err != nil {
		r.t.Errorf("a person with a link: %v", err)
		return
	}
	if page.StatusCode != http.StatusOK {
		r.t.Errorf("the person's browser ends at %d", page.StatusCode)
	}
	_ = page.Body.Close()
}

func answers(action string) person {
	return func(context.Context, string) string { return action }
}

// kind is a sort of client.
type kind struct {
	name     string
	revision string
	asks     bool // it can open links
}

func kinds() []kind {
	return append(askingClients(), plainClient(), kind{"2025-11-25 without elicitation", "2025-11-25", false})
}

// askingClients are those that can ask people to open links.
func askingClients() []kind { return []kind{newerClient(), olderClient()} }

func newerClient() kind { return kind{"2026-07-28", "", true} }

func olderClient() kind { return kind{"2025-11-25", "2025-11-25", true} }

// plainClient can ask nobody.
func plainClient() kind { return kind{"without elicitation", "", false} }

// dial connects an MCP client over a transport.
func (k kind) dial(t testing.TB, transport mcp.Transport, who person, more ...func(*mcp.ClientOptions)) *mcp.ClientSession {
	t.Helper()
	o, app := &mcp.ClientOptions{}, &mcptest.App{Open: who}
	if k.asks {
		app.Install(o)
	}
	for _, option := range more {
		option(o)
	}
	c := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1"}, o)
	if o.MultiRoundTrip == nil {
		c.AddSendingMiddleware(app.Middleware)
	}
	session, err := c.Connect(t.Context(), transport, &mcp.ClientSessionOptions{ProtocolVersion: k.revision})
	if err != nil {
		t.Fatal(err)
	}
	want := k.revision
	if want == "" {
		want = "2026-07-28"
	}
	if got := session.InitializeResult().ProtocolVersion; got != want {
		t.Fatalf("the session has revision %s, want %s", got, want)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

// manual has the client hand on what the server asks.
func manual(o *mcp.ClientOptions) { o.MultiRoundTrip = &mcp.MultiRoundTripOptions{Disabled: true} }

// inMemory is a transport like that of stdio.
func (r *rig) inMemory() mcp.Transport {
	r.t.Helper()
	ours, theirs := mcp.NewInMemoryTransports()
	session, err := r.server.Connect(r.t.Context(), ours, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = session.Close() })
	return theirs
}

// serveHTTP serves the tool to people who show their name as a token.
func (r *rig) serveHTTP() (url string) {
	r.t.Helper()
	verify := func(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
		if name, ok := strings.CutPrefix(token, "token-of-"); ok {
			return &auth.TokenInfo{UserID: name, Expiration: time.Now().Add(time.Hour), Extra: map[string]any{"email": name + "@example.com"}}, nil
		}
		return nil, auth.ErrInvalidToken
	}
	handler := mcpauth.HTTPHandler(func(*http.Request) *mcp.Server { return r.server }, nil)
	s := httptest.NewServer(auth.RequireBearerToken(verify, nil)(handler))
	r.t.Cleanup(func() {
		for session := range r.server.Sessions() {
			_ = session.Close()
		}
		s.Close()
	})
	return s.URL
}

// as is a transport over HTTP with somebody's token.
func as(name, url string) mcp.Transport {
	return &mcp.StreamableClientTransport{Endpoint: url, HTTPClient: &http.Client{Transport: tokenOf(name)}, MaxRetries: -1}
}

type tokenOf string

func (name tokenOf) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer token-of-"+string(name))
	return http.DefaultTransport.RoundTrip(req)
}

func call(t testing.TB, session *mcp.ClientSession, text string) (*mcp.CallToolResult, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return session.CallTool(ctx, &mcp.CallToolParams{Name: "ping", Arguments: map[string]any{"text": text, "more": 7}})
}

// textOf is what a result says.
func textOf(result *mcp.CallToolResult) string {
	var all []string
	for _, content := range result.Content {
		if text, ok := content.(*mcp.TextContent); ok {
			all = append(all, text.Text)
		}
	}
	return strings.Join(all, "\n")
}

// wantPong fails unless a call has come to its end, for an account.
func wantPong(t testing.TB, result *mcp.CallToolResult, err error, text string, account int) {
	t.Helper()
	if err != nil {
		t.Errorf("the call: %v", err)
		return
	}
	if want := fmt.Sprintf(`{"account":"%d","text":%q}`, account, text); result.IsError || textOf(result) != want {
		t.Errorf("the call says %q (error: %t), want %s", textOf(result), result.IsError, want)
	}
}

// wantError fails unless the tool has failed with a text that has something in it.
func wantError(t testing.TB, result *mcp.CallToolResult, err error, want string) {
	t.Helper()
	if err != nil {
		t.Errorf("the call: %v, want an error of the tool", err)
		return
	}
	if !result.IsError || !strings.Contains(textOf(result), want) {
		t.Errorf("the call says %q (error: %t), want an error with %q", textOf(result), result.IsError, want)
	}
}

// wantElicitation fails unless a call was answered with the error -32042, and returns
// what it asks.
func wantElicitation(t testing.TB, result *mcp.CallToolResult, err error) *mcp.ElicitParams {
	t.Helper()
	asked := mcptest.Elicitations(err)
	if len(asked) != 1 || asked[0].Mode != "url" || asked[0].ElicitationID == "" || asked[0].URL == "" {
		t.Fatalf("the call says %v, %v; want the error -32042 with a link", result, err)
	}
	return asked[0]
}

func linkIn(t testing.TB, text string) string {
	t.Helper()
	link := regexp.MustCompile(`https?://\S+`).FindString(text)
	if link == "" {
		t.Fatalf("there is no link in %q", text)
	}
	return link
}

func (r *rig) disconnect(subject string) {
	r.t.Helper()
	if _, err := r.Client.Disconnect(r.t.Context(), &tokenvaultv1.DisconnectRequest{Subject: subject, Provider: r.provider}); err != nil {
		r.t.Fatal(err)
	}
}

func await[T any](t testing.TB, what string, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience):
		t.Fatalf("%s does not come", what)
	}
	return v
}

// settled waits until no flow is open: the connection is there, and it is known.
func (r *rig) settled() {
	r.t.Helper()
	for _, done := range r.auth.Flows() {
		await(r.t, "the end of a flow", done)
	}
}
