package mcpauth

import (
	"cmp"
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// usualSessionTimeout is longer than any link is good for.
const usualSessionTimeout = 30 * time.Minute

// HTTPHandler serves all revisions of MCP at one URL over streamable HTTP: 2026-07-28 and
// later without sessions, and older ones with them, which they need for [Tool] to tell
// them that a person is done. Replicas behind a load balancer have to keep a session
// (Mcp-Session-Id) on one of them.
//
// Put the SDK's auth.RequireBearerToken around it, unless a single person on this machine
// uses it. Requests that a browser makes for another site's page are refused, and so are
// those to a loopback address with another host's name, unless o allows them
// (DisableLocalhostProtection). o may be nil. Its Stateless is not used; a SessionTimeout of 0 is 30 minutes, and a
// MaxRequestBodyBytes of 0 is 4 MiB. A call ends with its HTTP request where there is no
// session.
func HTTPHandler(getServer func(*http.Request) *mcp.Server, o *mcp.StreamableHTTPOptions) http.Handler {
	var with mcp.StreamableHTTPOptions
	if o != nil {
		with = *o
	}
	with.Stateless = false
	with.SessionTimeout = cmp.Or(with.SessionTimeout, usualSessionTimeout)
	without := with
	without.Stateless, without.SessionTimeout, without.PropagateRequestCancellation = true, 0, true
	stateful, stateless := mcp.NewStreamableHTTPHandler(getServer, &with), mcp.NewStreamableHTTPHandler(getServer, &without)
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Mcp-Protocol-Version") >= revisionRounds {
			stateless.ServeHTTP(w, r)
			return
		}
		stateful.ServeHTTP(w, r)
	}))
}
