package main

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/marketing"
	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/tools"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// TestAFaultEndsOneRequest guards everybody else: without it, the whole process ends.
func TestAFaultEndsOneRequest(t *testing.T) {
	account, err := marketing.NewWithAPIKey(secret.New(apiKey), "http://127.0.0.1:1/3.0")
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
		t.Errorf("the call says %v, want an error without what is in the log", err)
	}
	if _, err := session.ListTools(t.Context(), nil); err != nil {
		t.Errorf("the next request: %v", err)
	}
	if !strings.Contains(log.String(), "tulips") {
		t.Errorf("the log has nothing of it:\n%s", log)
	}
}
