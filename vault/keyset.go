package vault

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/keyring"
	"github.com/tokenvault/tokenvault/vault/store"
)

// ErrKeysetMissing says that a store has records but no keyset to open them
// with: it has lost a part, and nothing may be created over the rest.
var ErrKeysetMissing = errors.New("vault: the database has records, but its keyset is gone: restore a backup")

// OpenKeyring returns the keyring of a store, opened with the master key. For a
// store that has never been used it makes one. It returns an error that is
// [keyring.ErrWrongMasterKey] or [ErrKeysetMissing] where the store and the
// master key do not belong together. Several processes may call it at once on
// one new store: they all get the same keyring.
func OpenKeyring(ctx context.Context, s store.Store, master keyring.MasterKey) (*keyring.Keyring, error) {
	keys, err := LoadKeyring(ctx, s, master)
	if !errors.Is(err, store.ErrNotFound) {
		return keys, err
	}
	if err := createKeyset(ctx, s, keysetKey(), master); err != nil && !errors.Is(err, store.ErrConflict) {
		return nil, err
	}
	return LoadKeyring(ctx, s, master)
}

// LoadKeyring returns the keyring of a store, and an error that is
// [store.ErrNotFound] where it has none, or else one of OpenKeyring's. It writes
// nothing.
func LoadKeyring(ctx context.Context, s store.Store, master keyring.MasterKey) (*keyring.Keyring, error) {
	rec, err := s.Get(ctx, keysetKey())
	if err != nil {
		return nil, fmt.Errorf("read the keyset: %w", err)
	}
	stored := new(storagev1.Keyset)
	if err := proto.Unmarshal(rec.Value, stored); err != nil {
		return nil, fmt.Errorf("read the keyset: %w", err)
	}
	return keyring.Load(master, stored)
}

func keysetKey() store.Key { return store.Key{Kind: kindKeyset, ID: "keyset"} }

func createKeyset(ctx context.Context, s store.Store, key store.Key, master keyring.MasterKey) error {
	for _, kind := range sealedKinds() {
		page, err := s.List(ctx, store.Key{Kind: kind}, "", 1)
		if err != nil {
			return fmt.Errorf("look for records: %w", err)
		}
		if len(page.Records) > 0 {
			return ErrKeysetMissing
		}
	}
	_, stored, err := keyring.Generate(master)
	if err != nil {
		return err
	}
	value, err := proto.Marshal(stored)
	if err != nil {
		return fmt.Errorf("write the keyset: %w", err)
	}
	_, err = s.Commit(ctx, store.Put(key, value, store.Absent))
	return err
}
