package nodetest

import (
	"testing"
)

// stateEnd is where a request state is spoiled.
const stateEnd = 8

// TestAStateOfAnotherCallIsRefused plays a client that keeps what it should give back,
// and gives back something else.
func TestAStateOfAnotherCallIsRefused(t *testing.T) {
	t.Parallel()
	byHand := func(k kind) bool { return k.SDK == 2 && k.AsksPeople }
	forAll(t, byHand, func(t *testing.T, u *user, c *mcpClient) {
		call := func(more args) event {
			t.Helper()
			params := args{"name": "list_audiences", "arguments": args{"count": 1}, "manually": true}
			for name, value := range more {
				params[name] = value
			}
			c.order(args{"call": params})
			return c.next()
		}
		asked := call(nil).InputRequired
		if asked == nil || asked.RequestState == "" || len(asked.InputRequests) != 1 {
			t.Fatalf("the server asks %+v, want one thing, with a state", asked)
		}
		accepted := args{}
		for key := range asked.InputRequests {
			accepted[key] = args{"action": "accept"}
		}
		state := asked.RequestState
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
			if e := call(row.more); e.Error == nil || e.Error.Code != invalidParams {
				t.Errorf("a state that is %s ends with %s, want the error %d", row.name, describe(e), invalidParams)
			}
		}
		u.connect(linkOf(t, asked))
		e := call(args{"requestState": state, "inputResponses": accepted})
		if e.Result == nil {
			t.Fatalf("the state as it was ends with %s, want the tool's answer", describe(e))
		}
		wantLists(t, *e.Result)
		c.close()
	})
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
