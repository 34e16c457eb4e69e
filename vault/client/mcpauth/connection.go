package mcpauth

import (
	"context"
	"net/http"
	"sync/atomic"

	"golang.org/x/oauth2"

	"github.com/tokenvault/tokenvault/vault/client"
)

// Connection is one person's account at the provider, for one call of a tool. It is safe
// for concurrent use, and comes from [Tool] alone: the zero value has no vault.
type Connection struct {
	subject, provider, label string // its name in the vault

	vault *client.Client
	// generation is that of the credentials which the call has seen last.
	generation atomic.Int64
}

// Subject is the vault's name of the person.
func (c *Connection) Subject() string { return c.subject }

// Provider is the vault's name of the provider.
func (c *Connection) Provider() string { return c.provider }

// Label tells it from other connections of that person there.
func (c *Connection) Label() string { return c.label }

// Credentials returns what works now: from memory, mostly. A handler returns its errors
// as they are, wrapped or not, so that the person is asked to connect where that helps.
func (c *Connection) Credentials(ctx context.Context) (*client.Credentials, error) {
	credentials, err := c.vault.Credentials(ctx, c.subject, c.provider, client.WithLabel(c.label))
	if err != nil {
		return nil, err
	}
	c.generation.Store(credentials.Generation)
	return credentials, nil
}

// HTTPClient returns a client for the provider's API that acts for the person. See
// [client.Client.HTTPClient].
func (c *Connection) HTTPClient() *http.Client {
	return c.vault.HTTPClient(c.subject, c.provider, client.WithLabel(c.label))
}

// TokenSource returns the tokens for libraries that take an oauth2.TokenSource. See
// [client.Client.TokenSource].
func (c *Connection) TokenSource(ctx context.Context) oauth2.TokenSource {
	return c.vault.TokenSource(ctx, c.subject, c.provider, client.WithLabel(c.label))
}

// Refused makes an error for a handler to return when the provider refuses credentials
// that the vault takes for good, as after the person has removed the app there. The
// person is then asked to connect anew, as where there is no connection. cause is for the
// log, and is what the error wraps.
func (c *Connection) Refused(cause error) error {
	return &refused{cause: cause, generation: c.generation.Load()}
}

// refused is the error of Refused.
type refused struct {
	cause      error
	generation int64
}

// Error implements error.
func (e *refused) Error() string {
	if e.cause == nil {
		return "the provider refuses the credentials"
	}
	return "the provider refuses the credentials: " + e.cause.Error()
}

// Unwrap returns the cause.
func (e *refused) Unwrap() error { return e.cause }
