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
		OnThisMachine: p.onThisMachine, ReturnAdvice: f.returnAdvice(p), StateKey: p.stateKey, Log: log,
	}
	conf.Connect.ReturnURL = f.returnURL
	c.Auth, err = mcpauth.New(conf)
	if err != nil {
		return c, nil, errors.Join(err, vault.Close())
	}
	return c, func() error { return errors.Join(c.Auth.Close(), vault.Close()) }, nil
}

// returnAdvice is for the operator whose vault makes no link without a return URL.
func (f *vaultFlags) returnAdvice(p people) string {
	switch {
	case f.returnURL != "":
		return "add what --return-url says to the vault's return_urls"
	case p.onThisMachine:
		return `add "http://127.0.0.1/*" to the vault's return_urls, so that browsers come back to mailchimp-mcp`
	}
	return "set binding: login at the vault, where people then sign in, or name with --return-url the page of an application that confirms connections (binding: confirm), which the vault's return_urls allow"
}

// newAccount returns the account of the API key.
func (f *vaultFlags) newAccount() (*marketing.Client, error) {
	key := secret.New(f.apiKey)
	if err := marketing.CheckAPIKey(key); err != nil {
		return nil, fmt.Errorf("MAILCHIMP_API_KEY: %w", err)
	}
	c, err := marketing.NewWithAPIKey(key, f.apiURL)
	if err != nil {
		return nil, fmt.Errorf("MAILCHIMP_API_URL: %w", err)
	}
	return c, nil
}
