package mcpauth_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"os"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/client"
	"github.com/tokenvault/tokenvault/vault/client/mcpauth"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// An MCP server on stdio with one tool that reads the person's Mailchimp lists. Where
// they are not connected, their MCP client asks them to, and the call goes on.
func Example() {
	ctx := context.Background()
	vault, err := client.New(ctx, "127.0.0.1:9090", client.WithTokenFile("/run/secrets/tokenvault"))
	if err != nil {
		log.Fatal(err)
	}
	connections, err := mcpauth.New(mcpauth.Config{
		Vault: vault, Provider: "mailchimp", DisplayName: "Mailchimp", Subject: mcpauth.Fixed("alice"), OnThisMachine: true,
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		log.Fatal(err)
	}
	server := mcp.NewServer(&mcp.Implementation{Name: "lists", Version: "1.0.0"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "lists", Description: "The audiences of your Mailchimp account."}, mcpauth.Tool(connections, lists))
	if err := server.Run(ctx, &mcp.StdioTransport{}); err != nil {
		log.New(os.Stderr, "", 0).Print(err)
	}
}

func lists(ctx context.Context, _ *mcp.CallToolRequest, conn *mcpauth.Connection, _ struct{}) (*mcp.CallToolResult, any, error) {
	// A path is one below the API's base URL for the person's account.
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "/lists", nil)
	if err != nil {
		return nil, nil, err
	}
	resp, err := conn.HTTPClient().Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusUnauthorized {
		return nil, nil, conn.Refused(errors.New(resp.Status))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: string(body)}}}, nil, err
}

// A server for many people over HTTP. They show access tokens of an issuer, which name
// them as the vault does.
func ExampleHTTPHandler() {
	vault, err := client.New(context.Background(), "127.0.0.1:9090", client.WithTokenFile("/run/secrets/tokenvault"))
	if err != nil {
		log.Fatal(err)
	}
	connections, err := mcpauth.New(mcpauth.Config{Vault: vault, Provider: "mailchimp", DisplayName: "Mailchimp", Subject: mcpauth.FromToken})
	if err != nil {
		log.Fatal(err)
	}
	verifier, err := access.NewVerifier(access.VerifierConfig{Issuer: access.Issuer{URL: "https://id.example.com"}, Audience: "https://mcp.example.com/mcp"})
	if err != nil {
		log.Fatal(err)
	}
	verify := func(ctx context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
		user, err := verifier.Verify(ctx, secret.New(token))
		if err != nil {
			return nil, fmt.Errorf("%w: sign in again", auth.ErrInvalidToken)
		}
		return &auth.TokenInfo{UserID: user.Subject, Scopes: user.Scopes, Expiration: user.Expiry}, nil
	}
	server := mcp.NewServer(&mcp.Implementation{Name: "lists", Version: "1.0.0"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "lists", Description: "The audiences of your Mailchimp account."}, mcpauth.Tool(connections, lists))
	handler := mcpauth.HTTPHandler(func(*http.Request) *mcp.Server { return server }, nil)
	http.Handle("/mcp", auth.RequireBearerToken(verify, nil)(handler))
}
