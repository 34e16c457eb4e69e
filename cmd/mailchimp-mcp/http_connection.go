package main

import (
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/auth"

	"github.com/tokenvault/tokenvault/vault/httpserve"
	"github.com/tokenvault/tokenvault/vault/netlimit"
)

// keepConnections is for requests of people who have shown who they are: their connections
// stay where others make room.
func keepConnections(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user := nameOf(auth.TokenInfoFromContext(r.Context()))
		if remote := httpserve.Connection(r.Context()); remote != nil && user != "" {
			netlimit.Enter(remote, user)
			defer netlimit.Leave(remote)
		}
		next.ServeHTTP(w, r)
	})
}
