package main

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
	"github.com/tokenvault/tokenvault/vault/vaulttest/mcptest"
)

// revisions are those of MCP that differ in how people are asked to open links.
func revisions() []string { return []string{"2026-07-28", "2025-11-25"} }

// person is somebody at an MCP client, with a browser.
type person struct {
	t       *testing.T
	stack   *vaulttest.Stack
	account int // at the sandbox
	browser sync.WaitGroup

	mu     sync.Mutex
	opened []string // links
}

func newPerson(t *testing.T, s *vaulttest.Stack, account int) *person {
	t.Helper()
	p := &person{t: t, stack: s, account: account}
	t.Cleanup(p.browser.Wait)
	return p
}

// links are those that the person was asked to open.
func (p *person) links() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.opened)
}

// open agrees to open a link, and does so meanwhile.
func (p *person) open(_ context.Context, link string) (action string) {
	p.mu.Lock()
	p.opened = append(p.opened, link)
	p.mu.Unlock()
	p.browser.Go(func() {
		page, err := sandbox.Person{Client: p.stack.NewBrowser()}.Approve(context.Background(), link, p.account) // not the call's, which may end first
		if err != nil {
			p.t.Errorf("the person's browser: %v", err)
			return
		}
		defer page.Body.Close()
		if page.StatusCode != http.StatusOK {
			p.t.Errorf("the person's browser ends at %d", page.StatusCode)
		}
	})
	return "accept"
}

// connect connects the person's MCP client.
func (p *person) connect(revision string, transport mcp.Transport) *mcp.ClientSession {
	p.t.Helper()
	session, err := p.dial(revision, transport)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = session.Close() })
	if got := session.InitializeResult().ProtocolVersion; got != revision {
		p.t.Fatalf("the session has revision %s, want %s", got, revision)
	}
	return session
}

func (p *person) dial(revision string, transport mcp.Transport) (*mcp.ClientSession, error) {
	app, options := &mcptest.App{Open: p.open}, &mcp.ClientOptions{}
	app.Install(options)
	client := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1"}, options)
	client.AddSendingMiddleware(app.Middleware)
	return client.Connect(p.t.Context(), transport, &mcp.ClientSessionOptions{ProtocolVersion: revision})
}
