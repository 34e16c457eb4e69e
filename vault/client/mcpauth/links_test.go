package mcpauth_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/client/mcpauth"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// ask calls by hand, and returns the link and the state that come.
func ask(t testing.TB, session *mcp.ClientSession, text string) (link, state string) {
	t.Helper()
	result, err := call(t, session, text)
	return asked(t, result, err)
}

func asked(t testing.TB, result *mcp.CallToolResult, err error) (link, state string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	params, ok := result.InputRequests[mcpauth.InputKey].(*mcp.ElicitParams)
	if !ok || result.RequestState == "" {
		t.Fatalf("the call says %q, want it to ask for input", textOf(result))
	}
	return params.URL, result.RequestState
}

// reply is the next round of a call.
func reply(t testing.TB, session *mcp.ClientSession, text, state, action string) (*mcp.CallToolResult, error) {
	t.Helper()
	return session.CallTool(t.Context(), &mcp.CallToolParams{
		Name: "ping", Arguments: map[string]any{"more": 7, "text": text},
		RequestState: state, InputResponses: mcp.InputResponseMap{mcpauth.InputKey: &mcp.ElicitResult{Action: action}},
	})
}

// TestManyCallsAtOnceMakeOneFlow: models call several tools at once.
func TestManyCallsAtOnceMakeOneFlow(t *testing.T) {
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{})
	session := newerClient().dial(t, r.inMemory(), nil, manual)
	var all sync.WaitGroup
	links := make(chan string, 50)
	for i := range 50 {
		all.Go(func() {
			result, err := call(t, session, fmt.Sprint(i))
			if err != nil || result.InputRequests == nil {
				t.Errorf("call %d: %v, %v", i, result, err)
				return
			}
			links <- result.InputRequests[mcpauth.InputKey].(*mcp.ElicitParams).URL
		})
	}
	all.Wait()
	close(links)
	different := map[string]bool{}
	for link := range links {
		different[link] = true
	}
	if n := r.rpcs.get("Connect"); n != 1 || len(different) != 1 {
		t.Errorf("%d flows with %d links, want one", n, len(different))
	}
}

// TestManyCallsAtOnceAllGoOn when the one person is done.
func TestManyCallsAtOnceAllGoOn(t *testing.T) {
	for _, k := range askingClients() {
		t.Run(k.name, func(t *testing.T) {
			r := newRig(t, vaulttest.Config{}, mcpauth.Config{})
			var once sync.Once
			approve := r.approve(vaulttest.Ada)
			session := k.dial(t, r.inMemory(), func(ctx context.Context, link string) string {
				once.Do(func() { approve(ctx, link) })
				return "accept"
			})
			var all sync.WaitGroup
			for i := range 50 {
				all.Go(func() {
					result, err := call(t, session, fmt.Sprint(i))
					wantPong(t, result, err, fmt.Sprint(i), vaulttest.Ada)
				})
			}
			all.Wait()
		})
	}
}

// TestALinkIsGivenForAWhile, and works to its end: the person may have come to nothing
// with it, of which only the vault knows.
func TestALinkIsGivenForAWhile(t *testing.T) {
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{Wait: time.Millisecond})
	session := newerClient().dial(t, r.inMemory(), nil, manual)
	first, state := ask(t, session, "hello")
	r.Clock.Advance(90 * time.Second)
	if again, _ := ask(t, session, "hello"); again != first {
		t.Error("after a minute and a half the link is another one, want the same")
	}
	r.Clock.Advance(time.Minute)
	if second, _ := ask(t, session, "hello"); second == first {
		t.Error("after two minutes and a half the link is the same, want another")
	}
	result, err := reply(t, session, "hello", state, "accept")
	if second, _ := asked(t, result, err); second == first {
		t.Error("the next round has the same link, want another")
	}
	r.open(first, vaulttest.Ada)
	r.settled()
	result, err = reply(t, session, "hello", state, "accept")
	wantPong(t, result, err, "hello", vaulttest.Ada)
}

// TestNoLinkIsRememberedThatWasUsed also where the connection is gone before anybody has
// used it, and where the client still has the state.
func TestNoLinkIsRememberedThatWasUsed(t *testing.T) {
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{Wait: time.Millisecond})
	session := newerClient().dial(t, r.inMemory(), nil, manual)
	first, state := ask(t, session, "hello")
	r.open(first, vaulttest.Ada)
	r.settled()
	r.disconnect("alice")
	result, err := reply(t, session, "hello", state, "accept")
	for deadline := time.Now().Add(patience); err == nil && result.InputRequests == nil && time.Now().Before(deadline); {
		result, err = reply(t, session, "hello", state, "accept") // the disconnect is not known yet
	}
	second, state := asked(t, result, err)
	if second == first {
		t.Fatal("the person is given the link that they have used")
	}
	r.open(second, vaulttest.Ada)
	r.settled()
	result, err = reply(t, session, "hello", state, "accept")
	wantPong(t, result, err, "hello", vaulttest.Ada)
}

// TestPeopleSeeNothingOfEachOther over one server.
func TestPeopleSeeNothingOfEachOther(t *testing.T) {
	for _, k := range askingClients() {
		t.Run(k.name, func(t *testing.T) {
			r := newRig(t, vaulttest.Config{}, mcpauth.Config{Subject: mcpauth.FromToken})
			url := r.serveHTTP()
			links := map[string]string{}
			var mu sync.Mutex
			var all sync.WaitGroup
			for name, account := range map[string]int{"alice": vaulttest.Ada, "bob": vaulttest.Grace} {
				approve := r.approve(account)
				session := k.dial(t, as(name, url), func(ctx context.Context, link string) string {
					mu.Lock()
					defer mu.Unlock()
					links[name] = link
					return approve(ctx, link)
				})
				all.Go(func() {
					result, err := call(t, session, "hello")
					wantPong(t, result, err, "hello", account)
					result, err = call(t, session, "again")
					wantPong(t, result, err, "again", account)
				})
			}
			all.Wait()
			if links["alice"] == links["bob"] || len(links) != 2 {
				t.Errorf("they were given %v, want a link each", links)
			}
		})
	}
}

// TestARefusedConnectionIsMadeAnew: the person has removed the app at the provider, and
// the vault does not know.
func TestARefusedConnectionIsMadeAnew(t *testing.T) {
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			r := newRig(t, vaulttest.Config{}, mcpauth.Config{})
			r.Connect("alice", "mailchimp", vaulttest.Ada)
			session := k.dial(t, r.inMemory(), r.approve(vaulttest.Ada))
			result, err := call(t, session, "before")
			wantPong(t, result, err, "before", vaulttest.Ada)
			r.Sandbox.RevokeAll()
			result, err = call(t, session, "after")
			if !k.asks {
				wantError(t, result, err, "The Mailchimp account has to be connected again")
				r.open(linkIn(t, textOf(result)), vaulttest.Ada)
				r.settled()
				result, err = call(t, session, "after")
			}
			wantPong(t, result, err, "after", vaulttest.Ada)
			if n := r.rpcs.get("Connect"); n != 1 {
				t.Errorf("%d flows, want 1", n)
			}
		})
	}
}

// TestRefusedCredentialsAreNotTriedAgain while the person has not connected.
func TestRefusedCredentialsAreNotTriedAgain(t *testing.T) {
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{Wait: time.Millisecond})
	r.Connect("alice", "mailchimp", vaulttest.Ada)
	r.Sandbox.RevokeAll()
	session := newerClient().dial(t, r.inMemory(), nil, manual)
	first, state := ask(t, session, "hello")
	result, err := reply(t, session, "hello", state, "accept")
	if second, _ := asked(t, result, err); second != first || r.calls.get("ping") != 1 {
		t.Errorf("the tool's own code has run %d times, want once, and the link is the same: %t", r.calls.get("ping"), second == first)
	}
}

// TestADisconnectBetweenEndsTheLink: the person disconnects what does not work any more,
// perhaps, and the vault takes no link from before that. They get another.
func TestADisconnectBetweenEndsTheLink(t *testing.T) {
	for provider, dead := range map[string]string{"mailchimp": "for the provider", "acme": "for the vault, too"} {
		for _, k := range askingClients() {
			t.Run("dead "+dead+", "+k.name, func(t *testing.T) {
				r := newRig(t, vaulttest.Config{}, mcpauth.Config{Provider: provider})
				r.Connect("alice", provider, vaulttest.Ada)
				var links []string
				session := k.dial(t, r.inMemory(), func(_ context.Context, link string) string {
					if links = append(links, link); len(links) == 1 {
						r.disconnect("alice")
					} else {
						r.open(link, vaulttest.Ada)
					}
					return "accept"
				})
				r.Sandbox.RevokeAll()
				if provider == "acme" {
					_, err := r.Client.RefreshConnection(t.Context(), &tokenvaultv1.RefreshConnectionRequest{Subject: "alice", Provider: provider})
					if err == nil {
						t.Fatal("what was revoked is refreshed")
					}
				}
				result, err := call(t, session, "hello")
				wantPong(t, result, err, "hello", vaulttest.Ada)
				if len(links) != 2 || links[0] == links[1] {
					t.Errorf("the person was given %q, want two links", links)
				}
			})
		}
	}
}

// TestCredentialsThatHaveBeenReplacedAreTriedFirst: nobody is asked where another call
// has seen to it.
func TestCredentialsThatHaveBeenReplacedAreTriedFirst(t *testing.T) {
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{})
	r.Connect("alice", "mailchimp", vaulttest.Ada)
	runs := 0
	mcp.AddTool(r.server, &mcp.Tool{Name: "ping"}, mcpauth.Tool(r.auth, func(ctx context.Context, req *mcp.CallToolRequest, conn *mcpauth.Connection, args in) (*mcp.CallToolResult, out, error) {
		if runs++; runs == 1 {
			before, err := conn.Credentials(ctx)
			if err != nil {
				return nil, out{}, err
			}
			refused := conn.Refused(errors.New("401"))
			r.Connect("alice", "mailchimp", vaulttest.Ada)
			return nil, out{}, errors.Join(refused, r.vault.WaitReplaced(ctx, "alice", "mailchimp", before.Generation))
		}
		return r.ping(ctx, req, conn, args)
	}))
	result, err := call(t, plainClient().dial(t, r.inMemory(), nil), "hello")
	wantPong(t, result, err, "hello", vaulttest.Ada)
	if runs != 2 || r.rpcs.get("Connect") != 0 {
		t.Errorf("the tool's own code has run %d times, and there are %d flows; want 2 and none", runs, r.rpcs.get("Connect"))
	}
}

// TestLinksAreBoundedInNumber for each person.
func TestLinksAreBoundedInNumber(t *testing.T) {
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{Subject: mcpauth.FromToken})
	url := r.serveHTTP()
	alice := newerClient().dial(t, as("alice", url), nil, manual)
	for range 8 {
		ask(t, alice, "hello")
		r.Clock.Advance(570 * time.Second) // the flow goes on, and its link is too old to be given
	}
	result, err := call(t, alice, "hello")
	wantError(t, result, err, "too many people are connecting")
	ask(t, newerClient().dial(t, as("bob", url), nil, manual), "hello")
}
