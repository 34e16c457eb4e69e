package mcpauth

import (
	"context"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// InputKey is the key of the input request that asks the person to connect. Tools that
// ask for input of their own use other keys.
const InputKey = "tokenvault.connect"

// Handler is a tool that needs a connection. It is called when there are credentials, and
// may be called again in the same call after [Connection.Refused].
type Handler[In, Out any] func(ctx context.Context, req *mcp.CallToolRequest, conn *Connection, in In) (*mcp.CallToolResult, Out, error)

// Tool makes of a handler one that the SDK's mcp.AddTool takes. The person is asked to
// connect when there are no credentials, and when the handler returns an error that wraps
// a [client.ConnectRequired] or comes from [Connection.Refused]. Other errors of the
// handler are the tool's own, and get to the model as they are, but for a [client.Error]:
// of that the model gets what it means, and the log the rest.
func Tool[In, Out any](a *Auth, h Handler[In, Out]) mcp.ToolHandlerFor[In, Out] {
	return func(ctx context.Context, req *mcp.CallToolRequest, in In) (*mcp.CallToolResult, Out, error) {
		var none Out
		subject, err := a.config.Subject(ctx, req)
		if err != nil {
			return nil, none, err
		}
		conn := &Connection{Subject: subject, Provider: a.config.Provider, Label: a.config.Label, vault: a.config.Vault}
		if _, err := conn.Credentials(ctx); err != nil {
			return nil, none, err
		}
		return h(ctx, req, conn, in)
	}
}
