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
	kindOpen        store.Kind = "open-sessions"
	kindOpenLinks   store.Kind = "open-portal-links"
	kindFlows       store.Kind = "flows"
	// kindConfirmations hold codes that are not redeemed yet.
	kindConfirmations store.Kind = "confirmations"
	kindDue           store.Kind = "due"
	kindChanges       store.Kind = "changes"
	kindRevocations   store.Kind = "revocations"
	// kindDisconnections are few and short-lived.
	kindDisconnections store.Kind = "disconnections"
	// kindLogins are sign-ins that are under way, and kindSignIns who is signed in.
	kindLogins      store.Kind = "logins"
	kindSignIns     store.Kind = "sign-ins"
	kindPortalLinks store.Kind = "portal-links"
	kindUsage       store.Kind = "usage"
	kindSecrets     store.Kind = "secrets"
	kindDevices     store.Kind = "devices"
	kindAudit       store.Kind = "audit"
)

// sealedKinds are the kinds of records that the keyset seals: all but its own.
func sealedKinds() []store.Kind {
	return []store.Kind{
		kindConnections, kindSessions, kindOpen, kindFlows, kindDue, kindChanges, kindRevocations, kindUsage,
		kindDisconnections, kindSecrets, kindDevices, kindAudit, kindConfirmations,
		kindLogins, kindSignIns, kindPortalLinks, kindOpenLinks,
	}
}

// WatchedKinds are the kinds that the engine watches: what its Store is to be
// opened with.
func WatchedKinds() []store.Kind { return []store.Kind{kindChanges, kindSecrets} }

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

// connectionKey is the store key of a connection.
func connectionKey(id string) store.Key { return store.Key{Kind: kindConnections, ID: id} }

// read returns the connection at id, or the error that a caller is told.
func (v *Vault) read(ctx context.Context, id string) (*storagev1.Connection, error) {
	conn := new(storagev1.Connection)
	if _, err := v.records.get(ctx, connectionKey(id), conn); err != nil {
		return nil, readError(err)
	}
	return conn, nil
}

// readError turns a missing connection into what a caller is told.
func readError(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return errNotConnected(nil)
	}
	return err
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
//
// The connection's entry in the index of what is due, and the change log, follow
// from what change has done: no change can forget them.
func (v *Vault) updateConnection(ctx context.Context, id string, create bool, change func(*storagev1.Connection) error, extra ...store.Op) (*storagev1.Connection, error) {
	for range maxConflicts {
		conn, ops, err := v.changeConnection(ctx, id, create, change)
		if errors.Is(err, errUnchanged) {
			return conn, nil
		}
		if err != nil {
			return nil, err
		}
		_, err = v.store.Commit(ctx, append(ops, extra...)...)
		if err == nil {
			v.dueSoon(conn)
			return conn, nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("update a connection: %w, %d times in a row", store.ErrConflict, maxConflicts)
}

// changeConnection reads the connection, applies change to it, and returns it
// with the Ops that store it and what follows from the change.
func (v *Vault) changeConnection(ctx context.Context, id string, create bool, change func(*storagev1.Connection) error) (*storagev1.Connection, []store.Op, error) {
	key := connectionKey(id)
	before := new(storagev1.Connection)
	revision, err := v.records.get(ctx, key, before)
	if errors.Is(err, store.ErrNotFound) && create {
		revision, err = store.Absent, nil
	}
	if err != nil {
		return nil, nil, err
	}
	conn := proto.CloneOf(before)
	if err := change(conn); err != nil {
		return conn, nil, err
	}
	ops, err := v.moveDue(id, before, conn)
	if err != nil {
		return nil, nil, err
	}
	if isEmpty(conn) {
		v.usage.forget(id)
		ops = append(ops, store.Delete(key, revision), store.Delete(store.Key{Kind: kindUsage, ID: id}, store.Any))
	} else {
		op, err := v.records.put(key, conn, revision)
		if err != nil {
			return nil, nil, err
		}
		ops = append(ops, op)
	}
	if event := eventOf(before, conn); event != storagev1.Change_EVENT_UNSPECIFIED {
		op, err := v.logChange(event, conn)
		if err != nil {
			return nil, nil, err
		}
		ops = append(ops, op)
	}
	return conn, ops, nil
}
