package gateway

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
)

func TestAPanicIsAnsweredAndTellsNothing(t *testing.T) {
	const canary = "canary-4f1d"
	p, err := newPages()
	if err != nil {
		t.Fatal(err)
	}
	for target, kind := range map[string]string{"/oauth/acme/callback": "text/html", "/v1/connections": "application/json"} {
		var log bytes.Buffer
		g := &gateway{log: slog.New(slog.NewTextHandler(&log, nil)), pages: p, marshaler: &runtime.JSONPb{}}
		w := httptest.NewRecorder()
		g.recoverPanics(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { panic("code " + r.URL.Query().Get("code")) })).
			ServeHTTP(w, httptest.NewRequest(http.MethodGet, target+"?code="+canary, nil))
		if w.Code != http.StatusInternalServerError || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) || strings.Contains(w.Body.String(), canary) {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
		if text := log.String(); !strings.Contains(text, "recover_test.go:") || strings.Contains(text, canary) {
			t.Errorf("%s: the log does not tell where it happened, or tells too much: %s", target, text)
		}
	}
}

func TestAnAbortedAnswerIsNotAFault(t *testing.T) {
	g := &gateway{log: slog.New(slog.DiscardHandler)}
	defer func() {
		if value := recover(); value != http.ErrAbortHandler {
			t.Errorf("recovered %v, want what the handler has panicked with", value)
		}
	}()
	g.recoverPanics(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })).
		ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
}
