package vault

import (
	"context"
	"errors"
	"time"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// The refresh protocol. Its caller holds the connection's lock and has read the
// connection under it.
//
//  1. What an earlier refresh has left is settled: tokens that could not be
//     stored are stored; a refresh whose end is not known is asked again within
//     the provider's grace, or given up.
//  2. An intent is stored, durably.
//  3. The refresh token is used, on a context that nobody can cut short.
//  4. The new tokens are stored, in place of those that the refresh began with
//     and no others, before anything else can fail.
//
// Whatever happens between two of these steps, whoever holds the lock next finds
// out how far it came.

// errSuperseded says that a connection was given other tokens, or deleted, while
// its old ones were being refreshed.
var errSuperseded = errors.New("vault: the connection changed meanwhile")

// refresh uses the refresh token and stores what it brings before anybody gets
// to see it.
//
// held is the lock's context, ctx the renewal's own.
func (v *Vault) refresh(ctx, held context.Context, id string, p *provider.Provider, conn *storagev1.Connection) (*storagev1.Connection, error) {
	if r, ok := v.unsaved.get(id); ok {
		return v.storeRefreshed(ctx, id, p, r)
	}
	err := v.settleEarlier(held, id, p, conn)
	if err != nil {
		return nil, err
	}
	if p, err = bindStored(p, conn.GetGrant().GetParams()); err != nil {
		return nil, err
	}
	b := v.breakers.of(p)
	if err := b.enter(held, v.now); err != nil {
		return nil, refusedByBreaker(p, err)
	}
	// It may have been a long wait, longer than a grace.
	if err := v.settleEarlier(held, id, p, conn); err != nil {
		b.abandon()
		return nil, err
	}
	asked := v.now()
	conn, err = v.storeIntent(held, id, conn, asked)
	if err != nil {
		b.abandon()
		return v.orSuperseding(held, id, err)
	}
	// From here on neither a caller's end nor the loss of the lock stops it.
	// That the old tokens must still be there keeps two from storing.
	own, cancel := detach(ctx)
	defer cancel()
	token, err := asPatientClient(own, v, p, v.secrets.patience(p.Name()), func(ctx context.Context, p *provider.Provider) (provider.Token, error) {
		return renewGrant(ctx, p, conn.GetGrant())
	})
	b.leave(v.now(), id, err)
	if err != nil {
		return v.refreshFailed(own, id, p, conn, err)
	}
	return v.storeRefreshed(own, id, p, refreshed{conn: conn, token: token, asked: asked})
}

// renewGrant asks the provider for new tokens, in the way that the grant came
// about.
func renewGrant(ctx context.Context, p *provider.Provider, g *storagev1.Grant) (provider.Token, error) {
	if g.GetType() == storagev1.Grant_TYPE_CLIENT_CREDENTIALS {
		return p.ClientCredentials(ctx, g.GetScopes())
	}
	return p.Refresh(ctx, secret.New(g.GetRefreshToken()))
}

// orSuperseding returns the connection as it is now where err says that it has
// changed meanwhile, and what it has now will do.
func (v *Vault) orSuperseding(ctx context.Context, id string, err error) (*storagev1.Connection, error) {
	if !errors.Is(err, errSuperseded) {
		return nil, err
	}
	current, readErr := v.read(ctx, id)
	if readErr != nil {
		return nil, readErr
	}
	if current.GetGrant() == nil && current.GetCandidate() == nil {
		return nil, errNotConnected(err)
	}
	if (want{}).assess(current, v.now()) == serve {
		return current, nil
	}
	return nil, &Error{
		Reason: ProviderUnavailable, Message: "The connection was changed at the same moment. Try again.", RetryAfter: time.Second, Err: err,
	}
}
