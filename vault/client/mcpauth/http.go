package mcpauth

import (
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// HTTPHandler serves all revisions of MCP at one URL over streamable HTTP: 2026-07-28 and
// later without sessions, and older ones with them, which they need for [Tool] to tell
// them that a person is done. Replicas behind a load balancer have to keep a session
// (Mcp-Session-Id) on one of them.
//
// Put the SDK's auth.RequireBearerToken around it, unless a single person on this machine
// uses it. o may be nil; its Stateless is not used, and its SessionTimeout is 30 minutes
// where it is 0.
func HTTPHandler(getServer func(*http.Request) *mcp.Server, o *mcp.StreamableHTTPOptions) http.Handler {
	return mcp.NewStreamableHTTPHandler(getServer, o)
}
