package mcpauth_test

import (
	"context"
	"errors"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenvault/tokenvault/vault/client/mcpauth"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// TestACallConnectsAndGoesOn is the whole thing, for each kind of client over each
// transport: where the client can ask the person, the first call is the one that gets the
// answer.
func TestACallConnectsAndGoesOn(t *testing.T) {
	for _, k := range kinds() {
		for _, over := range []string{"stdio", "HTTP"} {
			t.Run(k.name+" over "+over, func(t *testing.T) {
				c := mcpauth.Config{}
				if over == "HTTP" {
					c.Subject = mcpauth.FromToken
				}
				r := newRig(t, vaulttest.Config{}, c)
				var transport mcp.Transport
				if over == "HTTP" {
					transport = as("alice", r.serveHTTP())
				} else {
					transport = r.inMemory()
				}
				session := k.dial(t, transport, r.approve(vaulttest.Ada))
				result, err := call(t, session, "hello")
				if !k.asks {
					wantError(t, result, err, "No Mailchimp account is connected yet")
					r.open(linkIn(t, textOf(result)), vaulttest.Ada)
					result, err = call(t, session, "hello")
				}
				wantPong(t, result, err, "hello", vaulttest.Ada)
				if n := r.calls.get("ping"); n != 1 {
					t.Errorf("the tool's own code has run %d times, want once", n)
				}
				if n := r.rpcs.get("Connect"); n != 1 {
					t.Errorf("%d flows, want 1", n)
				}
				result, err = call(t, session, "again")
				wantPong(t, result, err, "again", vaulttest.Ada)
			})
		}
	}
}

// TestATokenSourceIsOfTheCallsPersonAndLabel: libraries that take one act for nobody else.
func TestATokenSourceIsOfTheCallsPersonAndLabel(t *testing.T) {
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{Label: "work"})
	mcp.AddTool(r.server, &mcp.Tool{Name: "ping"}, mcpauth.Tool(r.auth, func(ctx context.Context, _ *mcp.CallToolRequest, conn *mcpauth.Connection, args in) (*mcp.CallToolResult, out, error) {
		credentials, err := conn.Credentials(ctx)
		if err != nil {
			return nil, out{}, err
		}
		token, err := conn.TokenSource(ctx).Token()
		if err != nil {
			return nil, out{}, err
		}
		if token.AccessToken != credentials.AccessToken.Reveal() {
			return nil, out{}, errors.New("the token is another connection's")
		}
		return nil, out{Text: args.Text, Account: credentials.Account.ID}, nil
	}))
	r.Connect("alice", "mailchimp", vaulttest.Grace) // by the label default
	result, err := call(t, newerClient().dial(t, r.inMemory(), r.approve(vaulttest.Ada)), "hello")
	wantPong(t, result, err, "hello", vaulttest.Ada)
}
