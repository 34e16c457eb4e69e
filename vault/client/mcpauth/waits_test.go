package mcpauth_test

import (
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenvault/tokenvault/vault/client/mcpauth"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// maxWaiting is how many calls of one person wait for them.
const maxWaiting = 100

// TestWaitsAreBoundedInNumber for each person: calls of sessions wait when their clients
// have gone, and whoever calls again and again would have any number wait. One more is
// asked anew at once.
func TestWaitsAreBoundedInNumber(t *testing.T) {
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{Subject: mcpauth.FromToken, Wait: time.Hour})
	url := r.serveHTTP()
	alice := newerClient().dial(t, as("alice", url), nil, manual)
	link, state := ask(t, alice, "hello")
	results := make(chan *mcp.CallToolResult, maxWaiting+1)
	for range maxWaiting + 1 {
		go func() {
			result, err := reply(t, alice, "hello", state, "accept")
			if err != nil {
				t.Error(err)
			}
			results <- result
		}()
	}
	if again, _ := asked(t, await(t, "an answer to the call that is one too many", results), nil); again != link {
		t.Errorf("the person is given the link %s, want the same, %s", again, link)
	}
	bob := newerClient().dial(t, as("bob", url), r.approve(vaulttest.Grace))
	result, err := call(t, bob, "hello")
	wantPong(t, result, err, "hello", vaulttest.Grace)
	r.open(link, vaulttest.Ada)
	for range maxWaiting {
		wantPong(t, await(t, "the end of a call that waits", results), nil, "hello", vaulttest.Ada)
	}
	r.disconnect("alice")
	result, err = call(t, alice, "hello")
	for deadline := time.Now().Add(patience); err == nil && result.InputRequests == nil && time.Now().Before(deadline); {
		result, err = call(t, alice, "hello") // the disconnect is not known yet
	}
	link, state = asked(t, result, err)
	ended := make(chan *mcp.CallToolResult, 1)
	go func() {
		result, _ := reply(t, alice, "hello", state, "accept")
		ended <- result
	}()
	r.open(link, vaulttest.Ada)
	wantPong(t, await(t, "the end of a call when there is room again", ended), nil, "hello", vaulttest.Ada)
}
