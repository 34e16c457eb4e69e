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

// The kinds of records.
const (
	kindKeyset      store.Kind = "keyset"
	kindConnections store.Kind = "connections"
	kindSessions    store.Kind = "sessions"
	kindFlows       store.Kind = "flows"
	kindDue         store.Kind = "due"
	kindUsage       store.Kind = "usage"
)

// records reads and writes sealed messages: the one place where plaintext meets
// the store.
type records struct {
	store   store.Store
	keyring *keyring.Keyring
}

// get reads the record into m and returns its revision.
func (r records) get(ctx context.Context, key store.Key, m proto.Message) (store.Revision, error) {
	rec, err := r.store.Get(ctx, key)
	if err != nil {
		return 0, err
	}
	return rec.Revision, r.open(rec, m)
}

// open decrypts a record into m.
func (r records) open(rec store.Record, m proto.Message) error {
	plaintext, err := r.keyring.Open(string(rec.Key.Kind), rec.Key.ID, rec.Value)
	if err != nil {
		return err
	}
	if err := proto.Unmarshal(plaintext, m); err != nil {
		return fmt.Errorf("read a record of kind %s: %w", rec.Key.Kind, err)
	}
	return nil
}

// put returns the Op that writes m, sealed.
func (r records) put(key store.Key, m proto.Message, expect store.Revision) (store.Op, error) {
	plaintext, err := proto.Marshal(m)
	if err != nil {
		return store.Op{}, fmt.Errorf("write a record of kind %s: %w", key.Kind, err)
	}
	sealed, err := r.keyring.Seal(string(key.Kind), key.ID, plaintext)
	if err != nil {
		return store.Op{}, err
	}
	return store.Put(key, sealed, expect), nil
}

// maxConflicts bounds how often a change is tried anew because somebody else's
// came first. Each conflict means that somebody made progress.
const maxConflicts = 16

// errUnchanged, returned by the function given to updateConnection, ends the
// update without a write and without an error.
var errUnchanged = errors.New("vault: nothing to change")

// updateConnection reads the connection at id, applies change, and commits it
// together with extra, against the revision read; when somebody else was faster
// it reads and applies anew. change gets a new, empty connection where there is
// none and create is set; else the error is store.ErrNotFound. It returns the
// connection as stored.
func (v *Vault) updateConnection(ctx context.Context, id string, create bool, change func(*storagev1.Connection) error, extra ...store.Op) (*storagev1.Connection, error) {
	key := store.Key{Kind: kindConnections, ID: id}
	for range maxConflicts {
		conn := new(storagev1.Connection)
		revision, err := v.records.get(ctx, key, conn)
		if errors.Is(err, store.ErrNotFound) && create {
			revision, err = store.Absent, nil
		}
		if err != nil {
			return nil, err
		}
		if err := change(conn); errors.Is(err, errUnchanged) {
			return conn, nil
		} else if err != nil {
			return nil, err
		}
		op, err := v.records.put(key, conn, revision)
		if err != nil {
			return nil, err
		}
		_, err = v.store.Commit(ctx, append([]store.Op{op}, extra...)...)
		if !errors.Is(err, store.ErrConflict) {
			return conn, err
		}
	}
	return nil, fmt.Errorf("update a connection: %w, %d times in a row", store.ErrConflict, maxConflicts)
}
