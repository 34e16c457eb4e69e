package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/tools"
)

// newMCPServer returns the server with its tools.
func newMCPServer(c tools.Config, log *slog.Logger) *mcp.Server {
	server := mcp.NewServer(
		&mcp.Implementation{Name: "mailchimp-mcp", Title: "Mailchimp", Version: serverVersion()},
		&mcp.ServerOptions{
			Instructions: tools.Instructions(c.AllowWrites),
			Logger:       protocolLog(log),
			// The tools stay as they are, so that nobody waits for news of them, and nothing is
			// logged to clients.
			Capabilities: &mcp.ServerCapabilities{Tools: &mcp.ToolCapabilities{}},
		},
	)
	tools.Register(server, c)
	server.AddReceivingMiddleware(logged(log), recovering(log))
	return server
}

// logged has each request in the log, for those who debug: neither what it asks nor what
// it is answered.
func logged(log *slog.Logger) mcp.Middleware {
	return func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			began := time.Now()
			result, err := next(ctx, method, req)
			attrs := []slog.Attr{slog.String("method", method), slog.Duration("took", time.Since(began)), slog.Bool("failed", err != nil)}
			if call, ok := req.(*mcp.CallToolRequest); ok {
				attrs = append(attrs, slog.String("tool", call.Params.Name))
			}
			log.LogAttrs(ctx, slog.LevelDebug, "request", attrs...)
			return result, err
		}
	}
}
