package main

import (
	"context"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/auth"
)

// streams ends the streams that wait for messages (GET) when the server stops, and when
// the token that began them does.
func streams(stopping context.Context, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			next.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(stopping, cancel)()
		if info := auth.TokenInfoFromContext(ctx); info != nil && !info.Expiration.IsZero() {
			var end context.CancelFunc
			ctx, end = context.WithDeadline(ctx, info.Expiration)
			defer end()
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}
