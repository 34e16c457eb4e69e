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

func TestNobodyTakesAllRequestsThereAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		verify := func(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
			return &auth.TokenInfo{UserID: token, Expiration: time.Now().Add(time.Hour)}, nil
		}
		release := make(chan struct{})
		handler := auth.RequireBearerToken(verify, nil)(boundRequests(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release })))
		statuses := make(chan int, maxRequests+1)
		send := func(user string) {
			req, w := httptest.NewRequestWithContext(t.Context(), http.MethodPost, mcpPath, nil), httptest.NewRecorder()
			req.Header.Set("Authorization", "Bearer "+user)
			handler.ServeHTTP(w, req)
			statuses <- w.Code
		}
		for range maxRequests {
			go send("alice")
		}
		synctest.Wait()
		if send("alice"); <-statuses != http.StatusTooManyRequests {
			t.Error("one request too many is served")
		}
		go send("bob")
		synctest.Wait()
		if len(statuses) > 0 {
			t.Errorf("somebody else is answered with %d", <-statuses)
		}
		close(release)
		synctest.Wait()
		for range maxRequests + 1 {
			if status := <-statuses; status != http.StatusOK {
				t.Errorf("a request within the bound is answered with %d", status)
			}
		}
		if send("alice"); <-statuses != http.StatusOK {
			t.Error("afterwards there is no room")
		}
	})
}
