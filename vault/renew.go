package vault

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
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
//
// Where it fails through no fault of the grant's, whoever asked for no more than a
// token that works gets the one at hand, if it does.
func (v *Vault) renew(ctx context.Context, id string, p *provider.Provider, w want) (*storagev1.Connection, error) {
	for {
		r, ours := v.joinRenewal(ctx, id, p, w)
		select {
		case <-r.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if r.err != nil {
			return v.orAtHand(ctx, id, w, r.err)
		}
		if ours || w.assess(r.conn, v.now()) == serve {
			return r.conn, nil
		}
		// Somebody else's renewal, which was content with less.
	}
}

// orAtHand returns the connection as it is where its token still works and err
// does not say that the grant is dead.
func (v *Vault) orAtHand(ctx context.Context, id string, w want, err error) (*storagev1.Connection, error) {
	if reason := ReasonOf(err); w.newer > 0 || w.ahead || reason != ProviderUnavailable && reason != ProviderMisconfigured {
		return nil, err
	}
	current, readErr := v.read(ctx, id)
	if readErr != nil || !stillWorks(current, v.now()) {
		return nil, err
	}
	v.log.LogAttrs(ctx, slog.LevelWarn, "refresh failed, the token at hand still works", append(keyAttrs(keyOf(current.GetKey())), slog.Any("cause", err))...)
	return current, nil
}

// joinRenewal returns the renewal under way, or begins one.
func (v *Vault) joinRenewal(ctx context.Context, id string, p *provider.Provider, w want) (r *renewal, ours bool) {
	v.renewals.mu.Lock()
	defer v.renewals.mu.Unlock()
	if r, ok := v.renewals.running[id]; ok {
		return r, false
	}
	r = &renewal{done: make(chan struct{})}
	v.renewals.running[id] = r
	own, cancel := detach(ctx)
	v.work.Go(func() {
		defer cancel()
		r.conn, r.err = v.renewLocked(own, id, p, w)
		v.renewals.mu.Lock()
		delete(v.renewals.running, id)
		v.renewals.mu.Unlock()
		close(r.done)
	})
	return r, true
}

// renewLocked takes the connection's lock, looks again whether the work is still
// needed, and does it.
func (v *Vault) renewLocked(ctx context.Context, id string, p *provider.Provider, w want) (*storagev1.Connection, error) {
	held, release, conn, err := v.lockConnection(ctx, id)
	if err != nil {
		return nil, err
	}
	defer release()
	var settleErr error
	if conn.GetCandidate() != nil {
		conn, settleErr, err = v.settleFirst(held, id, p, conn)
		if err != nil {
			return nil, err
		}
	}
	switch w.assess(conn, v.now()) {
	case serve:
		return conn, nil
	case renew:
		return v.refresh(ctx, held, id, p, conn)
	}
	if reason := ReasonOf(settleErr); settleErr != nil && (reason == "" || reason == ProviderUnavailable) {
		return nil, settleErr
	}
	if w.ahead && conn.GetGrant() != nil && !conn.GetReauthorizationRequired() {
		return nil, v.markEnded(ctx, id, p, conn)
	}
	return nil, errReauthorize(p, conn.GetProblem(), settleErr)
}

// settleFirst settles the candidate. Where it cannot be settled (settleErr), the
// connection goes by what else it has.
func (v *Vault) settleFirst(held context.Context, id string, p *provider.Provider, conn *storagev1.Connection) (_ *storagev1.Connection, settleErr, err error) {
	settled, settleErr := v.settle(held, id, p, conn)
	if settleErr == nil {
		return settled, nil, nil
	}
	current, err := v.read(held, id)
	if err != nil {
		return nil, nil, err
	}
	current.Candidate = nil
	return current, settleErr, nil
}

// lockConnection takes the lock under which a connection's tokens are changed,
// and reads the connection. It holds no lock when it returns an error.
func (v *Vault) lockConnection(ctx context.Context, id string) (held context.Context, release func(), conn *storagev1.Connection, err error) {
	held, release, err = v.store.Lock(ctx, connectionLock(id))
	if err != nil {
		return nil, nil, nil, fmt.Errorf("lock a connection: %w", err)
	}
	if conn, err = v.read(held, id); err != nil {
		release()
		return nil, nil, nil, err
	}
	return held, release, conn, nil
}

// connectionLock names a connection's lock.
func connectionLock(id string) string { return "connection/" + id }
