package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/marketing"
	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/tools"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// TestAFaultEndsOneRequest guards everybody else: without it, the whole process ends.
func TestAFaultEndsOneRequest(t *testing.T) {
	account, err := marketing.NewWithAPIKey(secret.New(sandbox.DefaultAPIKey()), "http://127.0.0.1:1/3.0")
	if err != nil {
		t.Fatal(err)
	}
	log := &output{}
	server := newMCPServer(tools.Config{Account: account}, slog.New(slog.NewTextHandler(log, nil)))
	mcp.AddTool(server, &mcp.Tool{Name: "faulty"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		panic("tulips")
	})
	ours, theirs := mcp.NewInMemoryTransports()
	if _, err := server.Connect(t.Context(), ours, nil); err != nil {
		t.Fatal(err)
	}
	session := newPerson(t, nil, 0).connect("2026-07-28", theirs)
	if _, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "faulty"}); err == nil || strings.Contains(err.Error(), "tulips") {
		t.Errorf("the call says %v, want an error without the value", err)
	}
	if _, err := session.ListTools(t.Context(), nil); err != nil {
		t.Errorf("the next request: %v", err)
	}
	if said := log.String(); !strings.Contains(said, "panic with a string, at ") || strings.Contains(said, "tulips") {
		t.Errorf("the log says\n%s\nwant where it was, and not the value, which may be a secret", said)
	}
}

func TestAFaultBeforeMCPEndsOneRequest(t *testing.T) {
	log := &output{}
	s := httptest.NewServer(withAnswerTime(recoverPanics(slog.New(slog.NewTextHandler(log, nil)), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("tulips") }))))
	defer s.Close()
	if resp := post(t, s.URL, secret.String{}, "{}"); resp.StatusCode != http.StatusInternalServerError {
		t.Errorf("status = %d, want 500", resp.StatusCode)
	}
	if said := log.String(); !strings.Contains(said, "panic with a string, at ") || strings.Contains(said, "tulips") {
		t.Errorf("the log says\n%s", said)
	}
}
