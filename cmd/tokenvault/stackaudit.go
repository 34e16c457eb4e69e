package main

import (
	"context"
	"log/slog"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/audit"
	"github.com/tokenvault/tokenvault/vault/keyring"
	"github.com/tokenvault/tokenvault/vault/store"
)

// openAudit opens the audit log. There is none where path is empty.
func openAudit(ctx context.Context, path string, db store.Store, keys *keyring.Keyring, log *slog.Logger) (*audit.Log, error) {
	if path == "" {
		return nil, nil
	}
	keeper, key, err := vault.NewAuditKeeper(db, keys)
	if err != nil {
		return nil, err
	}
	return audit.Open(ctx, audit.Config{Path: path, Key: key, Keeper: keeper, Logger: log})
}

// runAudit keeps the audit log's end safe, and opens the file anew after it was
// moved away.
func (s *stack) runAudit(ctx context.Context) error {
	if s.audit == nil {
		return nil
	}
	done := make(chan error, 1)
	go func() { done <- s.audit.Run(ctx) }()
	moved := hangups(ctx)
	for {
		select {
		case err := <-done:
			return err
		case <-moved:
			if err := s.audit.Reopen(ctx); err != nil {
				s.log.Error("audit log not opened anew", slog.Any("cause", err))
				continue
			}
			s.log.Info("audit log opened anew")
		}
	}
}
