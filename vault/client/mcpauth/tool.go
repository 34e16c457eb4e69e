package mcpauth

import (
	"context"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// InputKey is the key of the input request that asks the person to connect. Tools that
// ask for input of their own use other keys.
const InputKey = "tokenvault.connect"

// Handler is a tool that needs a connection. It is called when there are credentials,
// which it gets from the Connection.
type Handler[In, Out any] func(ctx context.Context, req *mcp.CallToolRequest, conn *Connection, in In) (*mcp.CallToolResult, Out, error)

// Tool makes of a handler one that the SDK's mcp.AddTool takes. The person is asked to
// connect when there are no credentials, and when the handler returns an error that wraps
// a [client.ConnectRequired] or comes from [Connection.Refused]; the handler is called
// again once they have, or where there are other credentials by then, so it must not have
// changed anything before. Other errors of the handler are the tool's own, and get to the
// model as they are, but for a [client.Error]: of that the model gets what it means, and
// the log the rest.
func Tool[In, Out any](a *Auth, h Handler[In, Out]) mcp.ToolHandlerFor[In, Out] {
	return func(ctx context.Context, req *mcp.CallToolRequest, in In) (*mcp.CallToolResult, Out, error) {
		var none Out
		c, err := a.begin(ctx, req)
		if err != nil {
			return nil, none, err
		}
		if asking, err := c.ready(ctx); asking != nil || err != nil {
			return asking, none, err
		}
		result, out, err := h(ctx, c.req, c.conn, in)
		if err != nil && c.isReplaced(ctx, err) {
			result, out, err = h(ctx, c.req, c.conn, in)
		}
		if err != nil {
			result, err = c.settle(ctx, err)
			return result, none, err
		}
		return result, out, nil
	}
}
