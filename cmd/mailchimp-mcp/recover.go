package main

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenvault/tokenvault/vault/httpserve"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// recovering has a fault of this program's end one request, and not the process with
// those of everybody.
func recovering(log *slog.Logger) mcp.Middleware {
	return func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (result mcp.Result, err error) {
			defer func() {
				if value := recover(); value != nil {
					log.LogAttrs(ctx, slog.LevelError, "a request has panicked: this is a fault of mailchimp-mcp's", slog.String("method", method), slog.String("panic", secret.DescribePanic(value)))
					result, err = nil, &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "Something went wrong inside mailchimp-mcp. Its log says where."}
				}
			}()
			return next(ctx, method, req)
		}
	}
}

// recoverPanics is the same for what stands before MCP.
func recoverPanics(log *slog.Logger, next http.Handler) http.Handler {
	return httpserve.RecoverPanics(log, "mailchimp-mcp's", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "Something went wrong inside mailchimp-mcp. Its log says where.", http.StatusInternalServerError)
	}, next)
}
