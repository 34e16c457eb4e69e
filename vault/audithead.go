package vault

import (
	"context"
	"errors"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/audit"
	"github.com/tokenvault/tokenvault/vault/keyring"
	"github.com/tokenvault/tokenvault/vault/store"
)

// AuditKeeper keeps the head of the audit log in the vault's store, sealed, where
// whoever can write the log's file cannot.
type AuditKeeper struct{ records records }

var _ audit.HeadKeeper = AuditKeeper{}

// NewAuditKeeper returns the keeper of a store, and the key of its audit log.
func NewAuditKeeper(s store.Store, k *keyring.Keyring) (AuditKeeper, audit.Key, error) {
	secret, err := k.Derive("audit log")
	if err != nil {
		return AuditKeeper{}, audit.Key{}, err
	}
	key, err := audit.NewKey(secret)
	return AuditKeeper{records{store: s, keyring: k}}, key, err
}

func auditHeadKey() store.Key { return store.Key{Kind: kindAudit, ID: "head"} }

// LoadHead implements audit.HeadKeeper.
func (k AuditKeeper) LoadHead(ctx context.Context) (audit.Head, error) {
	stored := new(storagev1.AuditHead)
	_, err := k.records.get(ctx, auditHeadKey(), stored)
	if errors.Is(err, store.ErrNotFound) {
		return audit.Head{}, nil
	}
	return audit.Head{Sequence: stored.GetSequence(), Hash: stored.GetHash()}, err
}

// SaveHead implements audit.HeadKeeper.
func (k AuditKeeper) SaveHead(ctx context.Context, head audit.Head) error {
	op, err := k.records.put(auditHeadKey(), &storagev1.AuditHead{Sequence: head.Sequence, Hash: head.Hash}, store.Any)
	if err != nil {
		return err
	}
	_, err = k.records.store.Commit(ctx, op)
	return err
}
