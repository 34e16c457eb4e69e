package mcpauth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"google.golang.org/grpc/codes"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/client"
	"github.com/tokenvault/tokenvault/vault/client/mcpauth"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// TestModelsReadWhatAnErrorMeans and nothing of the vault's inside, which is in the log.
func TestModelsReadWhatAnErrorMeans(t *testing.T) {
	const internal = "caller billing at 10.0.0.7 must not"
	failed := func(reason string, code codes.Code, after time.Duration) error {
		return fmt.Errorf("list: %w", &client.Error{Reason: reason, Code: code, Message: internal, RetryAfter: after, Subject: "alice", Provider: "mailchimp", Label: "default"})
	}
	const operator = "calling this tool again does not help: its operator has to change the configuration"
	for _, row := range []struct {
		name string
		err  error
		want string
	}{
		{"the provider fails", failed("PROVIDER_UNAVAILABLE", codes.Unavailable, 17*time.Second), "Mailchimp is not working properly at the moment, so nothing was done. Call this tool again in 17 seconds"},
		{"for long", failed("PROVIDER_UNAVAILABLE", codes.Unavailable, 150*time.Second), "Call this tool again in 3 minutes"},
		{"the vault is gone", failed("", codes.Unavailable, 0), "does not get at the credentials for Mailchimp at the moment, so nothing was done. Call this tool again in a minute"},
		{"the vault is slow", failed("", codes.DeadlineExceeded, time.Second), "Call this tool again in a second"},
		{"too many calls", failed("", codes.ResourceExhausted, 0), "Call this tool again in a minute"},
		{"too few permissions", failed("SCOPES_MISSING", codes.FailedPrecondition, 0), "with fewer permissions than this tool needs"},
		{"the app is set up badly", failed("PROVIDER_MISCONFIGURED", codes.FailedPrecondition, 0), operator},
		{"the server may not", failed("CALLER_FORBIDDEN", codes.PermissionDenied, 0), operator},
		{"the server is not known", failed("CALLER_UNKNOWN", codes.Unauthenticated, 0), operator},
		{"there is no such provider", failed("PROVIDER_UNKNOWN", codes.NotFound, 0), operator},
		{"one of the tool's own", errors.New("no such list"), "no such list"},
		{"refused credentials that nobody had", (&mcpauth.Connection{}).Refused(nil), "the provider refuses the credentials"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t, vaulttest.Config{}, mcpauth.Config{})
			r.Connect("alice", "mailchimp", vaulttest.Ada)
			mcp.AddTool(r.server, &mcp.Tool{Name: "ping"}, mcpauth.Tool(r.auth, func(context.Context, *mcp.CallToolRequest, *mcpauth.Connection, in) (*mcp.CallToolResult, out, error) {
				return nil, out{}, row.err
			}))
			result, err := call(t, newerClient().dial(t, r.inMemory(), nil), "hello")
			wantError(t, result, err, row.want)
			if strings.Contains(textOf(result), internal) {
				t.Errorf("the model reads %q", textOf(result))
			}
			if strings.Contains(row.err.Error(), internal) && !strings.Contains(r.log.String(), internal) {
				t.Errorf("the log does not have it:\n%s", r.log)
			}
		})
	}
}

func TestTheOperatorIsToldWhereNoLinkCanBeMade(t *testing.T) {
	for _, row := range []struct {
		name, advice   string
		want, unwanted []string
	}{
		{"to who writes the program", "", []string{"binding: login", "Connect.ReturnURL", "OnThisMachine"}, nil},
		{"in the program's own words", "write --return-url", []string{"that it knows: write --return-url"}, []string{"ReturnURL", "OnThisMachine"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t, vaulttest.Config{Binding: vault.BindingConfirm}, mcpauth.Config{ReturnAdvice: row.advice})
			result, err := call(t, newerClient().dial(t, r.inMemory(), nil), "hello")
			wantError(t, result, err, "its operator has to change the configuration, and finds the reason in its log")
			for _, want := range row.want {
				if !strings.Contains(r.log.String(), want) {
					t.Errorf("the log does not have %q:\n%s", want, r.log)
				}
			}
			for _, unwanted := range row.unwanted {
				if strings.Contains(r.log.String(), unwanted) {
					t.Errorf("the log has %q:\n%s", unwanted, r.log)
				}
			}
		})
	}
}

// TestPeopleComeBackToThisMachine where the vault wants a program to confirm.
func TestPeopleComeBackToThisMachine(t *testing.T) {
	for _, k := range askingClients() {
		t.Run(k.name, func(t *testing.T) {
			r := newRig(t, vaulttest.Config{Binding: vault.BindingConfirm, ReturnURLs: []string{"http://127.0.0.1/*"}}, mcpauth.Config{OnThisMachine: true})
			var last string
			session := k.dial(t, r.inMemory(), func(_ context.Context, link string) string {
				page, err := sandbox.Person{Client: r.NewBrowser()}.Approve(context.Background(), link, vaulttest.Ada)
				if err != nil {
					t.Error(err)
					return "cancel"
				}
				last = page.Request.URL.Host
				_ = page.Body.Close()
				return "accept"
			})
			result, err := call(t, session, "hello")
			wantPong(t, result, err, "hello", vaulttest.Ada)
			if !strings.HasPrefix(last, "127.0.0.1:") || strings.HasSuffix(r.GatewayURL, last) {
				t.Errorf("the browser ends at %s, want this process", last)
			}
			if err := r.auth.Close(); err != nil {
				t.Error(err)
			}
			if resp, err := http.Get("http://" + last); err == nil {
				_ = resp.Body.Close()
				t.Error("there is somebody at the return URL after Close")
			}
		})
	}
}

// TestNobodyIsServedWhoIsNotKnown: never as somebody else, and never as nobody.
func TestNobodyIsServedWhoIsNotKnown(t *testing.T) {
	token := func(info *auth.TokenInfo) *mcp.CallToolRequest {
		return &mcp.CallToolRequest{Extra: &mcp.RequestExtra{TokenInfo: info}}
	}
	for _, row := range []struct {
		name    string
		subject mcpauth.Subject
		req     *mcp.CallToolRequest
		want    string // "": an error
	}{
		{"a fixed one", mcpauth.Fixed("alice"), nil, "alice"},
		{"an empty fixed one", mcpauth.Fixed(""), nil, ""},
		{"no request", mcpauth.FromToken, nil, ""},
		{"no HTTP", mcpauth.FromToken, &mcp.CallToolRequest{}, ""},
		{"no token", mcpauth.FromToken, token(nil), ""},
		{"a token of nobody", mcpauth.FromToken, token(&auth.TokenInfo{}), ""},
		{"a token of alice", mcpauth.FromToken, token(&auth.TokenInfo{UserID: "alice"}), "alice"},
		{"no claim", mcpauth.FromClaim("email"), token(&auth.TokenInfo{UserID: "alice"}), ""},
		{"an empty claim", mcpauth.FromClaim("email"), token(&auth.TokenInfo{Extra: map[string]any{"email": ""}}), ""},
		{"a claim that is no text", mcpauth.FromClaim("email"), token(&auth.TokenInfo{Extra: map[string]any{"email": 7}}), ""},
		{"a claim without a token", mcpauth.FromClaim("email"), token(nil), ""},
		{"a claim", mcpauth.FromClaim("email"), token(&auth.TokenInfo{Extra: map[string]any{"email": "alice@example.com"}}), "alice@example.com"},
	} {
		got, err := row.subject(t.Context(), row.req)
		if got != row.want || (err == nil) != (row.want != "") {
			t.Errorf("%s: %q, %v; want %q", row.name, got, err, row.want)
		}
	}
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{Subject: mcpauth.FromToken})
	result, err := call(t, newerClient().dial(t, r.inMemory(), nil), "hello")
	wantError(t, result, err, "does not know for whom this call is")
	if r.rpcs.get("GetCredentials") != 0 || !strings.Contains(r.log.String(), "RequireBearerToken") {
		t.Errorf("the vault was asked %d times, and the log says\n%s\nwant no question and what to do", r.rpcs.get("GetCredentials"), r.log)
	}
}

// TestALinkForAnotherAccountHelpsNobody: a tool that needs two providers has two Auths.
func TestALinkForAnotherAccountHelpsNobody(t *testing.T) {
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{})
	r.Connect("alice", "mailchimp", vaulttest.Ada)
	mcp.AddTool(r.server, &mcp.Tool{Name: "ping"}, mcpauth.Tool(r.auth, func(ctx context.Context, _ *mcp.CallToolRequest, _ *mcpauth.Connection, _ in) (*mcp.CallToolResult, out, error) {
		_, err := r.vault.Credentials(ctx, "alice", "acme")
		return nil, out{}, err
	}))
	result, err := call(t, newerClient().dial(t, r.inMemory(), nil), "hello")
	wantError(t, result, err, "another account, which is not connected")
}

func TestConfigsThatCannotWorkAreRefused(t *testing.T) {
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{})
	good := mcpauth.Config{Vault: r.vault, Provider: "mailchimp", Subject: mcpauth.Fixed("alice")}
	for want, spoil := range map[string]func(*mcpauth.Config){
		"no vault":              func(c *mcpauth.Config) { c.Vault = nil },
		"no provider":           func(c *mcpauth.Config) { c.Provider = "" },
		"for whom calls are":    func(c *mcpauth.Config) { c.Subject = nil },
		"StateKey is too short": func(c *mcpauth.Config) { c.StateKey = make([]byte, 31) },
		"set Label, which is":   func(c *mcpauth.Config) { c.Connect.Label = "work" },
		"Wait is negative":      func(c *mcpauth.Config) { c.Wait = -1 },
	} {
		c := good
		spoil(&c)
		if _, err := mcpauth.New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want one with %q", err, want)
		}
	}
	a, err := mcpauth.New(good)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Close(), a.Close()); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

// TestTokensStayInTheServer: neither a client nor a log gets to see one.
func TestTokensStayInTheServer(t *testing.T) {
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{})
	wire := &vaulttest.Log{}
	session := newerClient().dial(t, &mcp.LoggingTransport{Transport: r.inMemory(), Writer: wire}, r.approve(vaulttest.Ada))
	result, err := call(t, session, "hello")
	wantPong(t, result, err, "hello", vaulttest.Ada)
	credentials, err := r.vault.Credentials(t.Context(), "alice", "mailchimp")
	if err != nil {
		t.Fatal(err)
	}
	r.Sandbox.RevokeAll()
	result, err = call(t, session, "again")
	wantPong(t, result, err, "again", vaulttest.Ada)
	if !strings.Contains(wire.String(), mcpauth.InputKey) {
		t.Fatal("what goes between client and server is not seen")
	}
	for what, text := range map[string]string{"the client": wire.String(), "the log": r.log.String()} {
		for name, secret := range map[string]string{"the access token": credentials.AccessToken.Reveal(), "the caller token": r.Token.Reveal()} {
			if strings.Contains(text, secret) {
				t.Errorf("%s gets %s", what, name)
			}
		}
	}
	if strings.Contains(r.log.String(), "session=") {
		t.Errorf("the log holds a link:\n%s", r.log)
	}
}

// TestAServerThatMayNotIsToldInTheLog: its caller may get credentials, and begin no flow.
func TestAServerThatMayNotIsToldInTheLog(t *testing.T) {
	token := access.GenerateToken()
	s := vaulttest.New(t, vaulttest.Config{Rules: []access.Rule{{
		Name: "program", Tenant: "default", Tokens: access.HashTokens(token), RPCs: []string{"GetCredentials"}, Providers: []string{"*"}, Subjects: []string{"*"},
	}}})
	whole := s.Token
	s.Token = token
	r := rigOn(t, s, mcpauth.Config{})
	s.Token = whole
	result, err := call(t, newerClient().dial(t, r.inMemory(), nil), "hello")
	wantError(t, result, err, "its operator has to change the configuration")
	if !strings.Contains(r.log.String(), "CALLER_FORBIDDEN") {
		t.Errorf("the log does not say why:\n%s", r.log)
	}
}
