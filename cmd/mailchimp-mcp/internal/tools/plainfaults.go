package tools

import (
	"context"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// plainFaults has faults of arguments begin with the parameter's name. The SDK (v1.8.0)
// says where in its work it was, as well, and writes a bound as 100.000000.
func plainFaults(next mcp.MethodHandler) mcp.MethodHandler {
	plain := strings.NewReplacer(
		"validating root: ", "", "validating /properties/", "", ".000000", "", "/1 is ", " is ",
		"unexpected additional properties", "there are no such parameters:", "missing properties:", "missing parameters:")
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		result, err := next(ctx, method, req)
		called, ok := result.(*mcp.CallToolResult)
		if err != nil || !ok || called == nil || !called.IsError || len(called.Content) != 1 {
			return result, err
		}
		if said, ok := called.Content[0].(*mcp.TextContent); ok {
			if fault, ok := strings.CutPrefix(said.Text, `validating "arguments": `); ok {
				said.Text = "wrong arguments: " + plain.Replace(fault)
			}
		}
		return result, err
	}
}
