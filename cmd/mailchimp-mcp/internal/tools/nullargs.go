package tools

import (
	"bytes"
	"context"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// takeNull has arguments that are null be none. Clients send that for tools that need
// none, and the SDK (v1.8.0) panics where it fills defaults into it.
func takeNull(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		if call, ok := req.GetParams().(*mcp.CallToolParamsRaw); ok && call != nil && bytes.Equal(bytes.TrimSpace(call.Arguments), []byte("null")) {
			call.Arguments = nil
		}
		return next(ctx, method, req)
	}
}
