package main

import (
	"context"
	"net"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/auth"

	"github.com/tokenvault/tokenvault/vault/netlimit"
)

// connectionKey leads to the address of a request's connection.
type connectionKey struct{}

func withConnection(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, c.RemoteAddr())
}

// keepConnections is for requests of people who have shown who they are: their connections
// stay where others make room.
func keepConnections(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user := nameOf(auth.TokenInfoFromContext(r.Context()))
		if remote, ok := r.Context().Value(connectionKey{}).(net.Addr); ok && user != "" {
			netlimit.Enter(remote, user)
			defer netlimit.Leave(remote)
		}
		next.ServeHTTP(w, r)
	})
}
