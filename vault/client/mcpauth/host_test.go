package mcpauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// host does what applications with a client of revision 2025-11-25 do by themselves: it
// has the person open the link of the error -32042, waits for the server to say that
// they are done, and calls again.
type host struct {
	who person

	mu       sync.Mutex
	complete map[string]chan struct{}
}

func (h *host) done(id string) chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.complete == nil {
		h.complete = map[string]chan struct{}{}
	}
	if h.complete[id] == nil {
		h.complete[id] = make(chan struct{}, 10)
	}
	return h.complete[id]
}

// install is a client option.
func (h *host) install(o *mcp.ClientOptions) {
	o.ElicitationCompleteHandler = func(_ context.Context, req *mcp.ElicitationCompleteNotificationRequest) {
		h.done(req.Params.ElicitationID) <- struct{}{}
	}
}

// middleware goes on with calls by itself.
func (h *host) middleware(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		for {
			result, err := next(ctx, method, req)
			asked := elicitationsIn(err)
			if len(asked) == 0 {
				return result, err
			}
			for _, e := range asked {
				if h.who(ctx, e.URL) != "accept" {
					return result, err
				}
				select {
				case <-h.done(e.ElicitationID):
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}
		}
	}
}

// elicitationsIn returns what the error -32042 asks. None: it is another.
func elicitationsIn(err error) []*mcp.ElicitParams {
	wire, ok := errors.AsType[*jsonrpc.Error](err)
	if !ok || wire.Code != mcp.CodeURLElicitationRequired {
		return nil
	}
	var data struct {
		Elicitations []*mcp.ElicitParams `json:"elicitations"`
	}
	if json.Unmarshal(wire.Data, &data) != nil {
		return nil
	}
	return data.Elicitations
}

// wantElicitation fails unless a call was answered with the error -32042, and returns
// what it asks.
func wantElicitation(t testing.TB, result *mcp.CallToolResult, err error) *mcp.ElicitParams {
	t.Helper()
	asked := elicitationsIn(err)
	if len(asked) != 1 || asked[0].Mode != "url" || asked[0].ElicitationID == "" || asked[0].URL == "" {
		t.Fatalf("the call says %v, %v; want the error -32042 with a link", result, err)
	}
	return asked[0]
}
