package mcpauth

import (
	"log/slog"
	"time"

	"github.com/tokenvault/tokenvault/vault/client"
)

// Config is what New needs.
type Config struct {
	// Vault is where credentials come from. Required. It stays the caller's, to be closed
	// after the Auth.
	Vault *client.Client
	// Provider is the vault's name of it. Required.
	Provider string
	// Label tells several connections of one subject apart. Empty: "default".
	Label string
	// Subject says for whom a call is. Required: [Fixed], [FromToken] or [FromClaim].
	Subject Subject
	// DisplayName is the provider's name for people. Empty: Provider.
	DisplayName string
	// Connect is for the links: scopes, return URL, parameters. The zero value is a good
	// start. Its Label must be empty: the one above counts.
	Connect client.ConnectOptions
	// OnThisMachine says that the person's browser runs on this machine. A vault with
	// binding: confirm then gets its confirmation through a listener on loopback.
	OnThisMachine bool
	// ReturnAdvice is what the log tells operators to do where the vault makes no link
	// without a return URL, in the words of their program: its flags or settings. Empty:
	// what to set in this Config.
	ReturnAdvice string
	// StateKey seals what clients keep between two rounds of a call: 32 bytes at least,
	// random, the same in all replicas. Nil: a key for the life of this Auth.
	StateKey []byte
	// Wait is how long a call waits for the person before it asks again. 0: 45 s. MCP
	// clients usually give up a call after 60.
	Wait time.Duration
	// Log gets what people and models are not to see. Nil: nothing is logged.
	Log *slog.Logger
}
