package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/marketing"
	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/tools"
	"github.com/tokenvault/tokenvault/vault/client/mcpauth"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// people says whose accounts the tools work with.
type people struct {
	subject       mcpauth.Subject
	onThisMachine bool   // their browsers are
	stateKey      []byte // nil: one for this process
}

// openBackend returns where the tools have their accounts from, and what closes it.
func openBackend(ctx context.Context, f *vaultFlags, p people, log *slog.Logger) (c tools.Config, end func() error, err error) {
	if f.usesKey() {
		c.Account, err = f.newAccount()
		return c, func() error { return nil }, err
	}
	vault, err := f.newClient(ctx, log)
	if err != nil {
		return c, nil, err
	}
	conf := mcpauth.Config{
		Vault: vault, Provider: f.provider, Label: f.label, Subject: p.subject, DisplayName: "Mailchimp",
		OnThisMachine: p.onThisMachine, StateKey: p.stateKey, Log: log,
	}
	conf.Connect.ReturnURL = f.returnURL
	c.Auth, err = mcpauth.New(conf)
	if err != nil {
		return c, nil, errors.Join(err, vault.Close())
	}
	return c, func() error { return errors.Join(c.Auth.Close(), vault.Close()) }, nil
}

// newAccount returns the account of the API key.
func (f *vaultFlags) newAccount() (*marketing.Client, error) {
	c, err := marketing.NewWithAPIKey(secret.New(f.apiKey), f.apiURL)
	if err != nil {
		return nil, fmt.Errorf("MAILCHIMP_API_KEY, MAILCHIMP_API_URL: %w", err)
	}
	return c, nil
}
