package vault

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"google.golang.org/protobuf/types/known/timestamppb"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/store"
)

// An API key lies in the connection beside the grant, and neither knows of the
// other: connecting and disconnecting leave the key as it is, setting and deleting
// the key leave the grant. Callers get the grant's token where it works, and the
// key where it does not.

// SetAPIKey stores an API key for a connection, in place of the one there was.
// params are the values for the provider's variables.
func (v *Vault) SetAPIKey(ctx context.Context, key Key, apiKey secret.String, params map[string]string) (Connection, error) {
	key, p, id, err := v.named(key)
	if err != nil {
		return Connection{}, err
	}
	if err := checkAPIKey(p, apiKey, params); err != nil {
		return Connection{}, err
	}
	conn, err := v.updateConnection(ctx, id, true, func(c *storagev1.Connection) error {
		c.Key = keyRecord(key)
		c.ApiKey = &storagev1.APIKey{Key: apiKey.Reveal(), Params: params, SetTime: timestamppb.New(v.now())}
		c.Generation++
		return nil
	})
	if err != nil {
		return Connection{}, err
	}
	v.log.LogAttrs(ctx, slog.LevelInfo, "API key set", append(keyAttrs(key), slog.Int64("generation", conn.GetGeneration()))...)
	return v.describe(ctx, id, conn)
}

// checkAPIKey refuses a key that does not have the form of the provider's. What it
// says does not repeat the key.
func checkAPIKey(p *provider.Provider, apiKey secret.String, params map[string]string) error {
	bound, err := bind(p, params)
	if err != nil {
		return err
	}
	_, err = bound.APIKeyMetadata(apiKey)
	var fault *provider.APIKeyError
	switch {
	case errors.Is(err, provider.ErrNotSupported):
		return &Error{
			Reason:  APIKeyNotSupported,
			Message: fmt.Sprintf("%s is not used with API keys here. Call Connect, or ask the operator to add api_key to the provider's definition.", p.DisplayName()),
		}
	case errors.As(err, &fault):
		return invalid(InvalidAPIKey, "api_key", fault.Problem)
	}
	return err
}

// DeleteAPIKey deletes the API key of a connection. Where there is no grant
// either, nothing is left of the connection.
func (v *Vault) DeleteAPIKey(ctx context.Context, key Key) (Connection, error) {
	key, _, id, err := v.named(key)
	if err != nil {
		return Connection{}, err
	}
	conn, err := v.updateConnection(ctx, id, false, func(c *storagev1.Connection) error {
		if c.GetApiKey() == nil {
			return store.ErrNotFound
		}
		c.ApiKey = nil
		c.Generation++
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return Connection{}, &Error{Reason: NotConnected, Message: "There is no API key to delete."}
	}
	if err != nil {
		return Connection{}, err
	}
	v.log.LogAttrs(ctx, slog.LevelInfo, "API key deleted", keyAttrs(key)...)
	return v.describe(ctx, id, conn)
}

// isEmpty reports whether nothing is left of a connection that would be worth
// keeping.
func isEmpty(c *storagev1.Connection) bool {
	return c.GetGrant() == nil && c.GetCandidate() == nil && c.GetApiKey() == nil && !c.GetReauthorizationRequired()
}

// withoutGrant returns what a disconnect leaves of a connection: its API key.
func withoutGrant(c *storagev1.Connection) *storagev1.Connection {
	return &storagev1.Connection{Key: c.GetKey(), ApiKey: c.GetApiKey(), Generation: c.GetGeneration() + 1}
}

// keyCredentials are the credentials of a connection's API key.
func keyCredentials(c *storagev1.Connection, p *provider.Provider) (Credentials, error) {
	bound, err := bindStored(p, c.GetApiKey().GetParams())
	if err != nil {
		return Credentials{}, err
	}
	apiKey := secret.New(c.GetApiKey().GetKey())
	metadata, err := bound.APIKeyMetadata(apiKey)
	if err != nil {
		return Credentials{}, doesNotFit(p, err)
	}
	headers, err := bound.APIKeyHeaders(apiKey)
	if err != nil {
		return Credentials{}, doesNotFit(p, err)
	}
	base, err := bound.APIBaseURL(metadata)
	if err != nil {
		return Credentials{}, doesNotFit(p, err)
	}
	return Credentials{
		Source: SourceAPIKey, APIKey: apiKey, Headers: secret.NewMap(headers),
		APIBaseURL: base, Metadata: metadata, Generation: c.GetGeneration(),
	}, nil
}
