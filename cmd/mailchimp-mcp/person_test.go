package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
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
	opened []string                 // links
	done   map[string]chan struct{} // by the id of an elicitation
}

func newPerson(t *testing.T, s *vaulttest.Stack, account int) *person {
	t.Helper()
	p := &person{t: t, stack: s, account: account, done: map[string]chan struct{}{}}
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
func (p *person) open(link string) {
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
	client := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1"}, &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
		ElicitationHandler: func(_ context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			p.open(req.Params.URL)
			return &mcp.ElicitResult{Action: "accept"}, nil
		},
		ElicitationCompleteHandler: func(_ context.Context, req *mcp.ElicitationCompleteNotificationRequest) {
			p.complete(req.Params.ElicitationID) <- struct{}{}
		},
	})
	client.AddSendingMiddleware(p.elicited)
	return client.Connect(p.t.Context(), transport, &mcp.ClientSessionOptions{ProtocolVersion: revision})
}

func (p *person) complete(id string) chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done[id] == nil {
		p.done[id] = make(chan struct{}, 10)
	}
	return p.done[id]
}

// elicited does what applications of revision 2025-11-25 do with the error -32042: have
// the person open the link, wait for the server to say that they are done, and call again.
func (p *person) elicited(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		result, err := next(ctx, method, req)
		wire, ok := errors.AsType[*jsonrpc.Error](err)
		if !ok || wire.Code != mcp.CodeURLElicitationRequired {
			return result, err
		}
		var asked struct {
			Elicitations []*mcp.ElicitParams `json:"elicitations"`
		}
		if err := json.Unmarshal(wire.Data, &asked); err != nil {
			return nil, err
		}
		for _, e := range asked.Elicitations {
			p.open(e.URL)
			select {
			case <-p.complete(e.ElicitationID):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return next(ctx, method, req)
	}
}
