package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
)

// TestAStreamEndsWithItsToken guards people who have been signed out: what comes later is
// not for whoever has the stream.
func TestAStreamEndsWithItsToken(t *testing.T) {
	for _, row := range []struct {
		method string
		stops  time.Duration // when the server does
		want   time.Duration
	}{
		{http.MethodGet, 2 * time.Hour, time.Hour},
		{http.MethodGet, time.Minute, time.Minute},
		{http.MethodPost, time.Minute, 3 * time.Hour}, // a call goes on, until the client goes
	} {
		synctest.Test(t, func(t *testing.T) {
			verify := func(context.Context, string, *http.Request) (*auth.TokenInfo, error) {
				return &auth.TokenInfo{UserID: "alice", Expiration: time.Now().Add(time.Hour)}, nil
			}
			client, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
			defer cancel()
			stopping, stop := context.WithTimeout(t.Context(), row.stops)
			defer stop()
			began := time.Now()
			handler := auth.RequireBearerToken(verify, nil)(streams(stopping, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })))
			req := httptest.NewRequestWithContext(client, row.method, mcpPath, nil)
			req.Header.Set("Authorization", "Bearer x")
			handler.ServeHTTP(httptest.NewRecorder(), req)
			if got := time.Since(began); got != row.want {
				t.Errorf("%s goes on for %v, want %v", row.method, got, row.want)
			}
		})
	}
}
