package mcpauth

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tokenvault/tokenvault/vault/client"
)

// maxListeners is for how many people browsers come back to this process. There is one at
// a machine, usually.
const maxListeners = 16

// listeners take in the browsers of people at this machine, until Close.
type listeners struct {
	mu     sync.Mutex
	of     map[string]*client.ReturnListener // by subject
	closed bool
}

// connect begins a flow in the vault. Where people come back to this machine, and the
// vault wants them to come back, they do.
func (a *Auth) connect(subject string) (*client.Link, error) {
	ctx, cancel := context.WithTimeout(a.ctx, connectPatience)
	defer cancel()
	if !a.config.OnThisMachine {
		return a.config.Vault.Connect(ctx, subject, a.config.Provider, a.config.Connect)
	}
	l, err := a.listeners.get(a.config.Vault, subject, func(back client.Return) { a.cameBack(subject, back) })
	if err != nil {
		return nil, err
	}
	return l.Connect(ctx, a.config.Provider, a.config.Connect)
}

// get returns the listener of a subject. It listens from when that is first needed.
func (ls *listeners) get(vault *client.Client, subject string, told func(client.Return)) (*client.ReturnListener, error) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l := ls.of[subject]
	switch {
	case l != nil:
		return l, nil
	case ls.closed:
		return nil, errClosed
	case len(ls.of) >= maxListeners:
		return nil, fmt.Errorf("mcpauth: more than %d people at this machine: OnThisMachine is for a server that one person runs for themself", maxListeners)
	}
	l = vault.ListenForReturn(subject, told)
	if ls.of == nil {
		ls.of = map[string]*client.ReturnListener{}
	}
	ls.of[subject] = l
	return l, nil
}

func (ls *listeners) close() error {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.closed = true
	var errs []error
	for _, l := range ls.of {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}
