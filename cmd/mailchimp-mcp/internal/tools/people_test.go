package tools_test

import (
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/marketing"
	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/tools"
	"github.com/tokenvault/tokenvault/vault/client"
	"github.com/tokenvault/tokenvault/vault/client/mcpauth"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// people is a vault whose people use the tools.
type people struct {
	*vaulttest.Stack
	t       testing.TB
	vault   *client.Client
	limiter *marketing.Limiter
}

func newPeople(t testing.TB) *people {
	t.Helper()
	p := &people{Stack: vaulttest.New(t, vaulttest.Config{}), t: t, limiter: marketing.NewLimiter()}
	var err error
	if p.vault, err = client.New(t.Context(), p.GRPCAddress, client.WithToken(p.Token.Reveal())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.vault.Close() })
	return p
}

// join connects somebody's account.
func (p *people) join(subject string, account int) {
	p.t.Helper()
	if status, body := p.Connect(subject, "mailchimp", account); status != http.StatusOK {
		p.t.Fatalf("%s is not connected: %d %s", subject, status, body)
	}
}

// serve gives somebody a server of their own.
func (p *people) serve(subject string) *rig {
	p.t.Helper()
	auth, err := mcpauth.New(mcpauth.Config{Vault: p.vault, Provider: "mailchimp", DisplayName: "Mailchimp", Subject: mcpauth.Fixed(subject)})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = auth.Close() })
	return &rig{t: p.t, sandbox: p.Sandbox, session: dial(p.t, tools.Config{Auth: auth, Limiter: p.limiter})}
}

// allow has somebody open the link of a text, and consent.
func (p *people) allow(said string, account int) {
	p.t.Helper()
	link := regexp.MustCompile(`https?://\S+`).FindString(said)
	page, err := sandbox.Person{Client: p.NewBrowser()}.Approve(p.t.Context(), link, account)
	if err != nil {
		p.t.Fatalf("open the link of %q: %v", said, err)
	}
	_ = page.Body.Close()
}

func TestToolsWorkForThePersonTheyAreCalledFor(t *testing.T) {
	p := newPeople(t)
	p.join("alice", vaulttest.Ada)
	p.join("bob", vaulttest.Grace)
	for subject, want := range map[string]string{"alice": "Analytical Engines Ltd", "bob": "Moth & Daughters"} {
		if got := p.serve(subject).call("get_account", nil); got["account_name"] != want {
			t.Errorf("got the account %v for %s, want %s", got, subject, want)
		}
	}
}

func TestWhoIsNotConnectedGetsALink(t *testing.T) {
	p := newPeople(t)
	alice := p.serve("alice")
	said, isError := alice.send("list_audiences", nil)
	if !isError || !strings.Contains(said, p.GatewayURL) {
		t.Fatalf("got %q, want a link", said)
	}
	p.allow(said, vaulttest.Ada)
	if got := alice.call("list_audiences", nil); at(t, got, "audiences.0.name") != "Analytical Engines Ltd news" {
		t.Errorf("got %v, want Ada's audiences", got)
	}
}

func TestWhoTookAccessBackGetsALink(t *testing.T) {
	p := newPeople(t)
	p.join("alice", vaulttest.Ada)
	alice := p.serve("alice")
	alice.call("ping", nil)
	p.Sandbox.RevokeAll()
	said, isError := alice.send("list_audiences", nil)
	if !isError || !strings.Contains(said, "connected again") || !strings.Contains(said, p.GatewayURL) {
		t.Fatalf("got %q, want a link to connect again", said)
	}
	p.allow(said, vaulttest.Ada)
	alice.call("list_audiences", nil)
}

func TestOneRefusalAsksNobodyToConnect(t *testing.T) {
	p := newPeople(t)
	p.join("alice", vaulttest.Ada)
	alice := p.serve("alice")
	p.Sandbox.Fault(sandbox.API, sandbox.Fault{Status: http.StatusUnauthorized, Body: `{"title":"API Key Invalid"}`, ContentType: "application/problem+json", Times: 1})
	alice.call("list_audiences", nil)
}

func TestPeopleOfOneAccountShareItsConnections(t *testing.T) {
	p := newPeople(t)
	p.join("alice", vaulttest.Ada)
	p.join("carol", vaulttest.Ada)
	p.join("bob", vaulttest.Grace)
	sessions := map[string]*mcp.ClientSession{}
	for _, subject := range []string{"alice", "bob", "carol"} {
		sessions[subject] = p.serve(subject).session
	}
	reached, full := make(chan struct{}, 100), make(chan struct{})
	p.Sandbox.Fault(sandbox.API, sandbox.Fault{Before: func(*http.Request) { reached <- struct{}{}; <-full }})
	var calls sync.WaitGroup
	for subject, session := range sessions {
		for range 15 {
			calls.Go(func() {
				result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "get_account"})
				if err != nil || result.IsError {
					t.Errorf("%s got %v, %v; want an answer", subject, result, err)
				}
			})
		}
	}
	for range 20 {
		<-reached
	}
	close(full)
	calls.Wait()
	if peak, refused := p.Sandbox.PeakConcurrency(sandbox.API), p.Sandbox.LimitedRequests(sandbox.API); peak != 20 || refused != 0 {
		t.Errorf("got %d requests at a time and %d refused, want 10 of each account and none", peak, refused)
	}
}
