package main

import (
	"context"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// What is served of one person at once, so that nobody takes all there is.
const (
	// maxRequests are requests: each may wait for minutes, as for somebody to sign in at
	// Mailchimp.
	maxRequests = 100
	// maxCalls are calls of tools. Those of sessions go on when the request that has
	// brought them has gone.
	maxCalls = 64
)

// boundRequests is for requests of people who have shown who they are.
func boundRequests(next http.Handler) http.Handler {
	requests := &perPerson{most: maxRequests}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user := nameOf(auth.TokenInfoFromContext(r.Context()))
		if !requests.take(user, 1) {
			tooMany(w, "too many of your requests are under way")
			return
		}
		defer requests.giveBack(user, 1)
		next.ServeHTTP(w, r)
	})
}

func tooMany(w http.ResponseWriter, text string) {
	w.Header().Set("Retry-After", "1")
	http.Error(w, text, http.StatusTooManyRequests)
}

// codeTooMany is of the codes that JSON-RPC leaves to servers.
const codeTooMany = -32000

// boundCalls is the middleware that counts calls of tools.
func boundCalls(next mcp.MethodHandler) mcp.MethodHandler {
	calls := &perPerson{most: maxCalls}
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		if method != "tools/call" {
			return next(ctx, method, req)
		}
		user := userOf(req)
		if !calls.take(user, 1) {
			return nil, &jsonrpc.Error{Code: codeTooMany, Message: "too many of your calls are under way: call again when some of them have ended"}
		}
		defer calls.giveBack(user, 1)
		return next(ctx, method, req)
	}
}
