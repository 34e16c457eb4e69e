package nodetest

import (
	"maps"
	"testing"

	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// stateEnd is where a request state is spoiled.
const stateEnd = 8

// TestAStateOfAnotherCallIsRefused plays a client that keeps what it should give back,
// and gives back something else.
func TestAStateOfAnotherCallIsRefused(t *testing.T) {
	t.Parallel()
	byHand := func(k kind) bool { return k.AsksPeople && k.revision() == newer }
	forAll(t, byHand, func(t *testing.T, u *user, c *mcpClient) {
		asked := c.askedByHand()
		state, accepted := asked.RequestState, accept(asked)
		for _, row := range []struct {
			name string
			more args
		}{
			{"changed", args{"requestState": spoil(state)}},
			{"cut off", args{"requestState": state[:len(state)-stateEnd]}},
			{"of another tool", args{"requestState": state, "name": "list_campaigns"}},
			{"of other arguments", args{"requestState": state, "arguments": args{"count": 2}}},
		} {
			row.more["inputResponses"] = accepted
			if e := c.callByHand(row.more); e.Error == nil || e.Error.Code != invalidParams {
				t.Errorf("a state that is %s ends with %s, want the error %d", row.name, describe(e), invalidParams)
			}
		}
		u.connect(linkOf(t, asked))
		e := c.callByHand(args{"requestState": state, "inputResponses": accepted})
		if e.Result == nil {
			t.Fatalf("the state as it was ends with %s, want the tool's answer", describe(e))
		}
		wantLists(t, *e.Result)
		c.close()
	})
}

func TestAStateOfAnotherPersonIsRefused(t *testing.T) {
	t.Parallel()
	s, issuer := vaulttest.New(t, vaulttest.Config{}), vaulttest.NewIssuer(t, nil)
	alices := overHTTP(t, s, issuer)
	bobs := alices
	bobs.Token = issuer.Token(map[string]any{"sub": "bob", "aud": audience}).Reveal()
	alice, bob := openClient(t, kind{SDK: 2, AsksPeople: true}, alices), openClient(t, kind{SDK: 2, AsksPeople: true}, bobs)
	asked := alice.askedByHand()
	e := bob.callByHand(args{"requestState": asked.RequestState, "inputResponses": accept(asked)})
	if e.Error == nil || e.Error.Code != invalidParams {
		t.Errorf("alice's state ends bob's call with %s, want the error %d", describe(e), invalidParams)
	}
	alice.close()
	bob.close()
}

// callByHand calls list_audiences with what else is to be in the request, and has the
// SDK answer nothing by itself.
func (c *mcpClient) callByHand(more args) event {
	c.t.Helper()
	params := args{"name": "list_audiences", "arguments": args{"count": 1}, "manually": true}
	maps.Copy(params, more)
	c.order(args{"call": params})
	return c.next()
}

// askedByHand is what the server asks of a person who is not connected.
func (c *mcpClient) askedByHand() *inputRequired {
	c.t.Helper()
	asked := c.callByHand(nil).InputRequired
	if asked == nil || asked.RequestState == "" || len(asked.InputRequests) != 1 {
		c.t.Fatalf("the server asks %+v, want one thing, with a state", asked)
	}
	return asked
}

// accept is a person's yes to all that they are asked.
func accept(asked *inputRequired) args {
	accepted := args{}
	for key := range asked.InputRequests {
		accepted[key] = args{"action": "accept"}
	}
	return accepted
}

// invalidParams is JSON-RPC's.
const invalidParams = -32602

// spoil changes one character in the middle of the sealed part.
func spoil(state string) string {
	at := len(state) - stateEnd
	other := byte('A')
	if state[at] == other {
		other = 'B'
	}
	return state[:at] + string(other) + state[at+1:]
}
