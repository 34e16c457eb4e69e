package mcpauth

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// Auth gives tools their connections, and people their links. It is safe for concurrent
// use; a server needs one for each provider.
type Auth struct {
	config Config
	log    *slog.Logger
	sealer *sealer
	flows  flows
	beat   time.Duration // between two signs of progress
	// listeners are there where people come back to this machine.
	listeners listeners

	ctx        context.Context // ends with Close
	end        context.CancelFunc
	background sync.WaitGroup
}

const (
	// usualWait is less than the 60 seconds that MCP clients usually give a call.
	usualWait = 45 * time.Second
	usualBeat = 5 * time.Second
)

// New returns an Auth. It calls nobody: tools do. The error says what to change in the
// Config.
func New(c Config) (*Auth, error) {
	switch {
	case c.Vault == nil:
		return nil, errors.New("mcpauth: no vault: set Vault to a client of it")
	case c.Provider == "":
		return nil, errors.New("mcpauth: no provider: set Provider to the vault's name of one, such as mailchimp")
	case c.Subject == nil:
		return nil, errors.New("mcpauth: nothing says for whom calls are: set Subject to FromToken, or to Fixed for a server of one person")
	case c.Connect.Label != "":
		return nil, errors.New("mcpauth: Connect.Label would be for links alone: set Label, which is for credentials too")
	case c.StateKey != nil && len(c.StateKey) < keySize:
		return nil, errors.New("mcpauth: StateKey is too short: make one of 32 random bytes")
	case c.Wait < 0:
		return nil, errors.New("mcpauth: Wait is negative: leave it out for 45 seconds")
	}
	sealer, err := newSealer(c.StateKey)
	if err != nil {
		return nil, err
	}
	c.StateKey = nil
	c.Label = cmp.Or(c.Label, "default")
	c.Connect.Label = c.Label
	c.DisplayName = cmp.Or(c.DisplayName, c.Provider)
	c.Wait = cmp.Or(c.Wait, usualWait)
	a := &Auth{config: c, log: cmp.Or(c.Log, slog.New(slog.DiscardHandler)), sealer: sealer, beat: usualBeat}
	// The calls of tools begin what goes on in the background, and it outlives them.
	a.ctx, a.end = context.WithCancel(context.Background())
	a.flows = flows{now: time.Now, of: map[string][]*flow{}, used: map[string]time.Time{}, waiting: map[string]int{}, failures: map[asked]failure{}}
	return a, nil
}

// Close ends all that waits, and returns when it has. Calls that wait for a person get an
// error. Links that people have stay good to their end, but for those that lead back to
// this process (OnThisMachine). Browsers that are back already have 10 seconds to read
// their page.
func (a *Auth) Close() error {
	a.flows.close()
	a.end()
	a.background.Wait()
	return a.listeners.close()
}
