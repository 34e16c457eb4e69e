package vault

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/store"
)

// Revocation is what happened at the provider when a connection was deleted.
type Revocation int

// The outcomes.
const (
	// Revoked: the provider has confirmed it.
	Revoked Revocation = iota + 1
	// RevocationNotSupported: the provider has no revocation endpoint.
	RevocationNotSupported
	// RevocationFailed: the provider did not confirm.
	RevocationFailed
)

// DisconnectResult is the honest outcome of Disconnect.
type DisconnectResult struct {
	Revocation Revocation
	// NextStep is what the person can still do at the provider. May be empty.
	NextStep string
}

// disconnectPatience is how long Disconnect waits for a refresh under way, whose
// new tokens it would rather revoke than the old ones. After that it wins all
// the same: the refresh finds nothing to store its tokens in.
const disconnectPatience = 5 * time.Second

// Disconnect deletes the connection, but for its API key, then revokes its tokens
// where the provider can. Deleting comes first: from that moment on nobody gets
// them from here, whatever the provider does. Tokens whose revocation is not
// confirmed are kept, apart from the connection, and the background goes on trying.
func (v *Vault) Disconnect(ctx context.Context, key Key) (DisconnectResult, error) {
	key, p, id, err := v.named(key)
	if err != nil {
		return DisconnectResult{}, err
	}
	ctx, done := v.detached(ctx)
	defer done()

	requests, err := v.deleteConnection(ctx, id, p)
	if err != nil {
		return DisconnectResult{}, readError(err)
	}
	result := DisconnectResult{NextStep: p.Definition().DisconnectHint}
	result.Revocation, err = v.revokeNow(ctx, p, requests)
	if result.Revocation == Revoked {
		result.NextStep = ""
	} else if result.NextStep == "" {
		result.NextStep = fmt.Sprintf("To be sure, remove the access of this app in the settings of the %s account.", p.DisplayName())
	}
	attrs := keyAttrs(key)
	if err != nil {
		attrs = append(attrs, slog.Any("revocation_failed", err))
	}
	v.log.LogAttrs(ctx, slog.LevelInfo, "account disconnected", attrs...)
	return result, nil
}

// deleteConnection deletes the connection and all that belongs to it, and in the
// same commit stores which tokens are to be revoked.
func (v *Vault) deleteConnection(ctx context.Context, id string, p *provider.Provider) ([]store.Record, error) {
	patience, cancel := context.WithTimeout(ctx, disconnectPatience)
	defer cancel()
	if _, release, err := v.store.Lock(patience, connectionLock(id)); err == nil {
		defer release()
	}
	key := connectionKey(id)
	for range maxConflicts {
		conn := new(storagev1.Connection)
		revision, err := v.records.get(ctx, key, conn)
		if err == nil && conn.GetGrant() == nil && conn.GetCandidate() == nil && !conn.GetReauthorizationRequired() {
			err = store.ErrNotFound // an API key alone is not connected
		}
		if err != nil {
			return nil, err
		}
		requests, ops, err := v.deletion(id, conn, p)
		if err != nil {
			return nil, err
		}
		rest := store.Delete(key, revision)
		if left := withoutGrant(conn); !isEmpty(left) {
			if rest, err = v.records.put(key, left, revision); err != nil {
				return nil, err
			}
		}
		v.usage.forget(id)
		_, err = v.store.Commit(ctx, append(ops, rest)...)
		if err == nil {
			v.unsaved.drop(id)
		}
		if !errors.Is(err, store.ErrConflict) {
			return requests, err
		}
	}
	return nil, fmt.Errorf("delete a connection: %w, %d times in a row", store.ErrConflict, maxConflicts)
}

// deletion returns what goes, and comes, with a connection that is deleted, and
// the records of the revocations among it.
func (v *Vault) deletion(id string, conn *storagev1.Connection, p *provider.Provider) (requests []store.Record, ops []store.Op, err error) {
	ops, err = v.moveDue(id, conn, &storagev1.Connection{})
	if err != nil {
		return nil, nil, err
	}
	ops = append(ops, store.Delete(store.Key{Kind: kindUsage, ID: id}, store.Any))
	note, err := v.rememberDisconnection(id)
	if err != nil {
		return nil, nil, err
	}
	ops = append(ops, note)
	logged, err := v.logChange(storagev1.Change_EVENT_DISCONNECTED, conn)
	if err != nil {
		return nil, nil, err
	}
	ops = append(ops, logged)
	grants := []*storagev1.Grant{conn.GetGrant(), conn.GetCandidate()}
	if r, ok := v.unsaved.get(id); ok {
		grants = append(grants, r.grant())
	}
	for _, g := range grants {
		if g == nil || !p.MayRevoke() {
			continue
		}
		op, err := v.revocationOp(p, conn.GetKey(), g, v.now().Add(revocationHeadStart))
		if err != nil {
			return nil, nil, err
		}
		ops = append(ops, op)
		requests = append(requests, store.Record{Key: op.Key, Value: op.Value})
	}
	return requests, ops, nil
}
