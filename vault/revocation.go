package vault

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/store"
)

// Tokens to be revoked lie in the store until the provider has confirmed it: a
// restart forgets none.

// revocationHeadStart is how long the background leaves a revocation to whoever
// has stored it.
const revocationHeadStart = time.Minute

// revocationPatience is how long a disconnect waits for the provider to confirm.
const revocationPatience = 10 * time.Second

// maxRevocationAge is when the background gives a revocation up. The tokens are
// deleted then.
const maxRevocationAge = 7 * 24 * time.Hour

// revocation is a request as one of the records that end by themselves: also where
// its provider is not configured any more, and nobody works on it.
type revocation struct{ *storagev1.RevocationRequest }

// GetExpireTime returns when the tokens are deleted, whatever the provider says.
func (r revocation) GetExpireTime() *timestamppb.Timestamp {
	return timestamppb.New(r.GetCreateTime().AsTime().Add(maxRevocationAge + 24*time.Hour))
}

// revocationOp returns the Op that has a grant's tokens revoked when the time has
// come.
func (v *Vault) revocationOp(p *provider.Provider, key *storagev1.ConnectionKey, g *storagev1.Grant, at time.Time) (store.Op, error) {
	return v.queuedOp(kindRevocations, p, at, &storagev1.RevocationRequest{
		Key: key, AccessToken: g.GetAccessToken(), RefreshToken: g.GetRefreshToken(), Params: g.GetParams(), CreateTime: timestamppb.New(v.now()),
	})
}

// revokeLater has the background revoke tokens that belong to no connection.
func (v *Vault) revokeLater(ctx context.Context, p *provider.Provider, key *storagev1.ConnectionKey, g *storagev1.Grant) error {
	if !p.MayRevoke() {
		return nil
	}
	now := v.now()
	op, err := v.revocationOp(p, key, g, now)
	if err != nil {
		return err
	}
	err = persist(ctx, func() error {
		_, err := v.store.Commit(ctx, op)
		return err
	})
	v.queues[p.Name()].revocations.wakeBy(now)
	return err
}

// revokeNow asks the provider to revoke what has just been stored for it, and
// forgets what the provider confirms.
func (v *Vault) revokeNow(ctx context.Context, p *provider.Provider, requests []store.Record) (Revocation, error) {
	if !p.MayRevoke() {
		return RevocationNotSupported, nil
	}
	patience, cancel := context.WithTimeout(ctx, revocationPatience)
	defer cancel()
	var errs []error
	unsupported := false
	for _, rec := range requests {
		request := new(storagev1.RevocationRequest)
		err := v.records.open(rec, request)
		if err == nil {
			err = v.revoke(patience, p, request)
		}
		unsupported = unsupported || errors.Is(err, provider.ErrNotSupported)
		if err == nil || unsupported {
			_, err = v.store.Commit(ctx, store.Delete(rec.Key, store.Any))
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		v.queues[p.Name()].revocations.wakeBy(v.now().Add(revocationHeadStart))
		return RevocationFailed, err
	}
	if unsupported {
		return RevocationNotSupported, nil // as its issuer says
	}
	return Revoked, nil
}

// revoke asks the provider to revoke tokens.
func (v *Vault) revoke(ctx context.Context, p *provider.Provider, r *storagev1.RevocationRequest) error {
	bound, err := bindStored(p, r.GetParams())
	if err != nil {
		return err
	}
	_, err = asClient(ctx, v, bound, func(ctx context.Context, p *provider.Provider) (struct{}, error) {
		return struct{}{}, p.Revoke(ctx, tokensOf(r))
	})
	return err
}

func tokensOf(r *storagev1.RevocationRequest) provider.Token {
	return provider.Token{AccessToken: secret.New(r.GetAccessToken()), RefreshToken: secret.New(r.GetRefreshToken())}
}

// workRevocation asks the provider once more. The entry goes when the provider
// has confirmed it, or never will.
func (v *Vault) workRevocation(ctx context.Context, p *provider.Provider, rec store.Record) error {
	request := new(storagev1.RevocationRequest)
	if err := v.records.open(rec, request); err != nil {
		return err
	}
	attrs := keyAttrs(keyOf(request.GetKey()))
	err := v.revoke(ctx, p, request)
	if ctx.Err() != nil {
		return ctx.Err() // it is asked again after the next start
	}
	if errors.Is(err, provider.ErrNotSupported) {
		err = nil
	}
	if err == nil || v.now().Sub(request.GetCreateTime().AsTime()) > maxRevocationAge {
		level, message := slog.LevelInfo, "revocation confirmed"
		if err != nil {
			level, message, attrs = slog.LevelError, "revocation given up", append(attrs, slog.Any("cause", err))
		}
		v.log.LogAttrs(ctx, level, message, attrs...)
		_, err = v.store.Commit(ctx, store.Delete(rec.Key, store.Any))
		return err
	}
	v.log.LogAttrs(ctx, slog.LevelWarn, "revocation failed, trying again later", append(attrs, slog.Any("cause", err))...)
	request.Attempts++
	at := v.now().Add(max(backoff(request.GetAttempts()), provider.RetryAfter(err)))
	return v.requeue(ctx, v.queues[p.Name()].revocations, p, rec, at, request)
}
