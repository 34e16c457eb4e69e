package vault

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"google.golang.org/protobuf/types/known/timestamppb"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/store"
)

// renewals lets all callers of this process who need the same connection renewed
// share one renewal. Between processes the store's lock does the same.
type renewals struct {
	mu      sync.Mutex
	running map[string]*renewal
}

type renewal struct {
	done chan struct{} // closed when conn and err are set
	conn *storagev1.Connection
	err  error
}

// renew brings a connection up to date, once for all who ask meanwhile. The
// renewal itself does not end when ctx does: a caller without patience must not
// cost the others their token, nor burn a refresh token half-way.
func (v *Vault) renew(ctx context.Context, id string, p *provider.Provider) (*storagev1.Connection, error) {
	r := v.joinRenewal(ctx, id, p)
	select {
	case <-r.done:
		return r.conn, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (v *Vault) joinRenewal(ctx context.Context, id string, p *provider.Provider) *renewal {
	v.renewals.mu.Lock()
	defer v.renewals.mu.Unlock()
	if r, ok := v.renewals.running[id]; ok {
		return r
	}
	r := &renewal{done: make(chan struct{})}
	v.renewals.running[id] = r
	own, cancel := detach(ctx)
	v.work.Go(func() {
		defer cancel()
		r.conn, r.err = v.renewLocked(own, id, p)
		v.renewals.mu.Lock()
		delete(v.renewals.running, id)
		v.renewals.mu.Unlock()
		close(r.done)
	})
	return r
}

// renewLocked takes the connection's lock, looks again whether the work is still
// needed, and does it.
func (v *Vault) renewLocked(ctx context.Context, id string, p *provider.Provider) (*storagev1.Connection, error) {
	held, release, conn, err := v.lockConnection(ctx, id)
	if err != nil {
		return nil, err
	}
	defer release()
	var settleErr error
	if conn.GetCandidate() != nil {
		settled, err := v.settle(held, id, p, conn)
		if err == nil {
			conn = settled
		} else {
			settleErr, conn.Candidate = err, nil // go by what else there is
		}
	}
	switch assess(conn, v.now()) {
	case serve:
		return conn, nil
	case renew:
		return v.refresh(held, id, p, conn)
	}
	if ReasonOf(settleErr) == ProviderUnavailable {
		return nil, settleErr
	}
	return nil, errReauthorize(p, conn.GetProblem(), settleErr)
}

// lockConnection takes the lock under which a connection's tokens are changed,
// and reads the connection. It holds no lock when it returns an error.
func (v *Vault) lockConnection(ctx context.Context, id string) (held context.Context, release func(), conn *storagev1.Connection, err error) {
	held, release, err = v.store.Lock(ctx, connectionLock(id))
	if err != nil {
		return nil, nil, nil, fmt.Errorf("lock a connection: %w", err)
	}
	conn = new(storagev1.Connection)
	if _, err := v.records.get(held, store.Key{Kind: kindConnections, ID: id}, conn); err != nil {
		release()
		return nil, nil, nil, v.readError(err)
	}
	return held, release, conn, nil
}

// connectionLock names a connection's lock.
func connectionLock(id string) string { return "connection/" + id }

// errSuperseded says that a connection was given other tokens, or deleted, while
// its old ones were being refreshed.
var errSuperseded = errors.New("vault: the connection changed meanwhile")

// refresh uses the refresh token and stores what it brings before anybody gets
// to see it.
func (v *Vault) refresh(ctx context.Context, id string, p *provider.Provider, conn *storagev1.Connection) (*storagev1.Connection, error) {
	asked := v.now()
	token, err := p.Refresh(ctx, secret.New(conn.GetGrant().GetRefreshToken()))
	if err != nil {
		return v.refreshFailed(ctx, id, p, conn, err)
	}
	var stored *storagev1.Connection
	err = persist(ctx, func() (err error) {
		stored, err = v.updateConnection(ctx, id, false, func(c *storagev1.Connection) error {
			if !sameGrant(c, conn) {
				return errSuperseded
			}
			c.Grant = refreshedGrant(c.GetGrant(), token, asked)
			c.Generation++
			c.LastRefreshTime = timestamppb.New(v.now())
			c.Problem = ""
			return nil
		})
		return err
	})
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, errSuperseded) {
		return nil, v.refreshedInVain(ctx, p, token, err)
	}
	if err != nil {
		return nil, fmt.Errorf("store refreshed tokens: %w", err)
	}
	v.log.LogAttrs(ctx, slog.LevelInfo, "token refreshed", append(keyAttrs(keyOf(stored.GetKey())), slog.Int64("generation", stored.GetGeneration()))...)
	return stored, nil
}

// sameGrant reports whether two states of a connection hold the same grant. The
// generation alone would not tell a connection from one that was disconnected
// and made anew.
func sameGrant(a, b *storagev1.Connection) bool {
	return a.GetGeneration() == b.GetGeneration() && a.GetGrant().GetRefreshToken() == b.GetGrant().GetRefreshToken()
}

// refreshedInVain gives back tokens for which there is no connection any more.
func (v *Vault) refreshedInVain(ctx context.Context, p *provider.Provider, token provider.Token, cause error) error {
	if !errors.Is(cause, store.ErrNotFound) {
		return cause
	}
	if err := p.Revoke(ctx, token); err != nil && !errors.Is(err, provider.ErrNotSupported) {
		cause = errors.Join(cause, err)
	}
	return errNotConnected(cause)
}

// refreshFailed decides what a failed refresh means. Only the provider's word
// that the grant is dead marks the connection.
func (v *Vault) refreshFailed(ctx context.Context, id string, p *provider.Provider, conn *storagev1.Connection, cause error) (*storagev1.Connection, error) {
	if provider.KindOf(cause) == provider.InvalidGrant {
		return nil, v.markDead(ctx, id, p, conn, cause)
	}
	if stillWorks(conn, v.now()) {
		v.log.LogAttrs(ctx, slog.LevelWarn, "refresh failed, the token at hand still works", append(keyAttrs(keyOf(conn.GetKey())), slog.Any("cause", cause))...)
		return conn, nil
	}
	if provider.KindOf(cause) == provider.Misconfigured {
		return nil, misconfigured(p, cause)
	}
	return nil, unavailable(p, cause)
}

func (v *Vault) markDead(ctx context.Context, id string, p *provider.Provider, conn *storagev1.Connection, cause error) error {
	problem := fmt.Sprintf("%s no longer accepts this connection: access was removed there, or it was not used for too long.", p.DisplayName())
	_, err := v.updateConnection(ctx, id, false, func(c *storagev1.Connection) error {
		if !sameGrant(c, conn) {
			return errSuperseded
		}
		c.ReauthorizationRequired = true
		c.Problem = problem + " Connect it again."
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return errNotConnected(cause)
	}
	return errReauthorize(p, problem, errors.Join(cause, err))
}

func errReauthorize(p *provider.Provider, problem string, cause error) *Error {
	if problem == "" {
		problem = fmt.Sprintf("The token of %s has ended and cannot be refreshed.", p.DisplayName())
	}
	return &Error{
		Reason:  ReauthorizationRequired,
		Message: problem + " Call Connect and have the person open the link.",
		Err:     cause,
	}
}

func errNotConnected(cause error) *Error {
	return &Error{
		Reason:  NotConnected,
		Message: "There is no such connection. Call Connect and have the person open the link.",
		Err:     cause,
	}
}

func misconfigured(p *provider.Provider, cause error) *Error {
	return &Error{
		Reason: ProviderMisconfigured,
		Message: fmt.Sprintf("%s does not accept this vault as its client. The operator has to check client_id, client_secret and client_auth of provider %q; connections stay as they are.",
			p.DisplayName(), p.Name()),
		Err: cause,
	}
}

func unavailable(p *provider.Provider, cause error) *Error {
	return &Error{
		Reason:     ProviderUnavailable,
		Message:    fmt.Sprintf("%s is not answering as it should, and there is no token that still works. Try again.", p.DisplayName()),
		RetryAfter: max(provider.RetryAfter(cause), retryAfter),
		Err:        cause,
	}
}

// readError turns a missing connection into what a caller is told.
func (v *Vault) readError(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return errNotConnected(nil)
	}
	return err
}
