package main

import (
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

// Where MCP is served, and where clients look for what protects it (RFC 9728, section
// 3.1).
const (
	mcpPath      = "/mcp"
	metadataPath = "/.well-known/oauth-protected-resource"
)

// handleMetadata says where people sign in, at the place that belongs to the endpoint,
// and at that of the host for clients that look there.
func (f *httpFlags) handleMetadata(mux *http.ServeMux, resource string) {
	handler := auth.ProtectedResourceMetadataHandler(&oauthex.ProtectedResourceMetadata{
		Resource:               resource,
		ResourceName:           "Mailchimp",
		AuthorizationServers:   []string{f.issuer},
		ScopesSupported:        f.scopes,
		BearerMethodsSupported: []string{"header"},
	})
	mux.Handle(metadataPath+mcpPath, handler)
	mux.Handle(metadataPath, handler)
}
