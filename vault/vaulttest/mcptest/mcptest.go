// Package mcptest plays applications with an MCP client, whose person can open links. The
// SDK's client does what revision 2026-07-28 of MCP asks for; for 2025-11-25, applications
// do some of it themselves, and so does this package.
package mcptest

import (
	"context"
	"encoding/json"
	"errors"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// App is an application. Install and Middleware make it one of an MCP client; without the
// Middleware, the error -32042 gets to whoever calls. It is safe for concurrent use.
type App struct {
	// Open shows the person a link, and returns what they say: accept, decline or cancel.
	// They may open it meanwhile. Nil where nobody is asked.
	Open func(ctx context.Context, link string) (action string)

	mu       sync.Mutex
	complete map[string]chan struct{} // by the id of an elicitation
}

// Install sets what a client can do.
func (a *App) Install(o *mcp.ClientOptions) {
	o.Capabilities = &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}}
	o.ElicitationHandler = func(ctx context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
		return &mcp.ElicitResult{Action: a.Open(ctx, req.Params.URL)}, nil
	}
	o.ElicitationCompleteHandler = func(_ context.Context, req *mcp.ElicitationCompleteNotificationRequest) {
		select {
		case a.completed(req.Params.ElicitationID) <- struct{}{}:
		default: // it may be told more than once
		}
	}
}

// Completed has a value once the server has said that an elicitation is complete.
func (a *App) Completed(id string) <-chan struct{} { return a.completed(id) }

func (a *App) completed(id string) chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.complete == nil {
		a.complete = map[string]chan struct{}{}
	}
	if a.complete[id] == nil {
		a.complete[id] = make(chan struct{}, 1)
	}
	return a.complete[id]
}

// Middleware goes on with calls by itself, as applications of revision 2025-11-25 do: it
// has the person open the links of the error -32042, waits for the server to say that they
// are done, and calls again. It is for AddSendingMiddleware.
func (a *App) Middleware(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		for {
			result, err := next(ctx, method, req)
			asked := Elicitations(err)
			if len(asked) == 0 {
				return result, err
			}
			for _, e := range asked {
				if a.Open(ctx, e.URL) != "accept" {
					return result, err
				}
				select {
				case <-a.Completed(e.ElicitationID):
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}
		}
	}
}

// Elicitations returns what the error -32042 asks. None: it is another.
func Elicitations(err error) []*mcp.ElicitParams {
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
