package vault

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/secret"
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

// Disconnect deletes the connection, then revokes its tokens where the provider
// can. Deleting comes first: from that moment on nobody gets them from here,
// whatever the provider does.
func (v *Vault) Disconnect(ctx context.Context, key Key) (DisconnectResult, error) {
	key, p, err := v.check(key)
	if err != nil {
		return DisconnectResult{}, err
	}
	id, err := v.blind.connection(key)
	if err != nil {
		return DisconnectResult{}, err
	}
	ctx, cancel := detach(ctx)
	defer cancel()
	v.work.Add(1)
	defer v.work.Done()

	conn, err := v.deleteConnection(ctx, id)
	if err != nil {
		return DisconnectResult{}, v.readError(err)
	}
	result := DisconnectResult{NextStep: p.Definition().DisconnectHint}
	result.Revocation, err = revoke(ctx, p, conn)
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

func (v *Vault) deleteConnection(ctx context.Context, id string) (*storagev1.Connection, error) {
	patience, cancel := context.WithTimeout(ctx, disconnectPatience)
	defer cancel()
	if _, release, err := v.store.Lock(patience, connectionLock(id)); err == nil {
		defer release()
	}
	key := store.Key{Kind: kindConnections, ID: id}
	for range maxConflicts {
		conn := new(storagev1.Connection)
		revision, err := v.records.get(ctx, key, conn)
		if err != nil {
			return nil, err
		}
		v.usage.forget(id)
		_, err = v.store.Commit(ctx, store.Delete(key, revision), store.Delete(store.Key{Kind: kindUsage, ID: id}, store.Any))
		if !errors.Is(err, store.ErrConflict) {
			return conn, err
		}
	}
	return nil, fmt.Errorf("delete a connection: %w, %d times in a row", store.ErrConflict, maxConflicts)
}

// revoke revokes all that a connection held.
func revoke(ctx context.Context, p *provider.Provider, conn *storagev1.Connection) (Revocation, error) {
	for _, g := range []*storagev1.Grant{conn.GetGrant(), conn.GetCandidate()} {
		if g == nil {
			continue
		}
		err := p.Revoke(ctx, provider.Token{AccessToken: secret.New(g.GetAccessToken()), RefreshToken: secret.New(g.GetRefreshToken())})
		if errors.Is(err, provider.ErrNotSupported) {
			return RevocationNotSupported, nil
		}
		if err != nil {
			return RevocationFailed, err
		}
	}
	return Revoked, nil
}
