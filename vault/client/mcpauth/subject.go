package mcpauth

import (
	"context"
	"errors"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Subject says for whom a call is. What it returns must come from an identity that was
// verified, and never from what the model or the MCP client says. An error ends the call:
// its text is for the log.
type Subject func(ctx context.Context, req *mcp.CallToolRequest) (string, error)

// Fixed is the same subject for all calls, for a server that one person runs for
// themself.
func Fixed(subject string) Subject {
	return func(context.Context, *mcp.CallToolRequest) (string, error) {
		if subject == "" {
			return "", errors.New("mcpauth: the fixed subject is empty")
		}
		return subject, nil
	}
}

// FromToken is the user of the access token that the MCP client has sent: the UserID
// that the verifier of the SDK's auth.RequireBearerToken has found. A call without one is
// refused.
func FromToken(_ context.Context, req *mcp.CallToolRequest) (string, error) {
	token, err := tokenOf(req)
	if err != nil {
		return "", err
	}
	if token.UserID == "" {
		return "", errors.New("mcpauth: the verified access token names no user: have the token verifier set UserID")
	}
	return token.UserID, nil
}

// FromClaim is another field of that token, which the verifier has put into Extra, such
// as "email". It must be a text, and not empty. The verifier sets UserID all the same:
// the SDK binds sessions to that, and to nobody where it is empty.
func FromClaim(name string) Subject {
	return func(_ context.Context, req *mcp.CallToolRequest) (string, error) {
		token, err := tokenOf(req)
		if err != nil {
			return "", err
		}
		value, _ := token.Extra[name].(string)
		if value == "" {
			return "", fmt.Errorf("mcpauth: the verified access token has no text %q: have the token verifier put it into Extra", name)
		}
		return value, nil
	}
}

// tokenOf returns what is known of the access token that a call came with.
func tokenOf(req *mcp.CallToolRequest) (*auth.TokenInfo, error) {
	if req == nil || req.Extra == nil || req.Extra.TokenInfo == nil {
		return nil, errors.New("mcpauth: the call came without a verified access token: put auth.RequireBearerToken before the MCP handler")
	}
	return req.Extra.TokenInfo, nil
}
