package vault

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/store"
)

// refreshFailed decides what a failed refresh means. Only the provider's word
// that the grant is dead marks the connection, and only if the connection still
// has that grant.
func (v *Vault) refreshFailed(ctx context.Context, id string, p *provider.Provider, conn *storagev1.Connection, cause error) (*storagev1.Connection, error) {
	if provider.KindOf(cause) == provider.InvalidGrant {
		problem := fmt.Sprintf("%s no longer accepts this connection: access was removed there, or it was not used for too long.", p.DisplayName())
		if lost := timeOf(conn.GetLostAnswerTime()); !lost.IsZero() {
			problem = fmt.Sprintf("%s no longer accepts this connection: its answer to a refresh at %s was lost on the way, and the tokens in it with it.", p.DisplayName(), lost.UTC().Format(time.RFC3339))
		}
		return v.orSuperseding(ctx, id, v.markDead(ctx, id, p, conn, problem, cause))
	}
	told := unavailable(p, cause)
	if provider.KindOf(cause) == provider.Misconfigured {
		told = misconfigured(p, cause)
	}
	_, err := v.updateConnection(ctx, id, false, func(c *storagev1.Connection) error {
		if !sameGrant(c, conn) {
			return errSuperseded
		}
		if provider.Unanswered(cause) && c.GetLostAnswerTime() == nil {
			c.LostAnswerTime = c.GetRefreshIntent().GetStartTime()
		}
		c.RefreshIntent = nil
		c.RefreshFailures++
		c.Problem = fmt.Sprintf("%s could not be asked for a new token. The vault keeps trying.", p.DisplayName())
		if told.Reason == ProviderMisconfigured {
			c.Problem = told.Message
		}
		pause := v.retryPause(c, p, cause)
		schedule(c, v.now().Add(pause))
		c.RefreshNotBefore, c.RefreshMisconfigured = nil, told.Reason == ProviderMisconfigured
		switch asked := provider.RetryAfter(cause); {
		case asked > 0:
			c.RefreshNotBefore = timestamppb.New(v.now().Add(pause))
		case c.GetRefreshFailures() >= patientFailures && !provider.ClientRefused(cause):
			// (A client that is not accepted is the breaker's: another secret
			// opens that at once.)
			c.RefreshNotBefore = timestamppb.New(v.now().Add(min(pause, callerPause)))
		}
		return nil
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, errSuperseded) {
		told.Err = errors.Join(cause, err)
	}
	return nil, told
}

// patientFailures is how often in a row refreshing may fail until callers too are
// held off between the attempts of the background.
const patientFailures = 3

// callerPause is the longest for which callers are then held off, unless the
// provider itself asks for a pause.
const callerPause = time.Minute

// retryPause is how long to wait until a refresh is tried again. After a lost
// answer, what is left of the provider's grace is not slept through.
func (v *Vault) retryPause(c *storagev1.Connection, p *provider.Provider, cause error) time.Duration {
	pause := backoff(c.GetRefreshFailures() - 1)
	if saysProviderFails(cause) {
		// The breaker keeps the provider from being asked too often; the
		// connection has done nothing to be waited for longer than that.
		pause = min(pause, maxBreak)
	}
	pause = max(pause, provider.RetryAfter(cause))
	if lost := timeOf(c.GetLostAnswerTime()); !lost.IsZero() && withinGrace(p, lost, v.now()) {
		left := p.Definition().Refresh.Grace - v.now().Sub(lost)
		pause = min(pause, max(left/4, time.Second))
	}
	return pause
}

// markDead records that only the person can help, and returns the error that
// says so.
func (v *Vault) markDead(ctx context.Context, id string, p *provider.Provider, conn *storagev1.Connection, problem string, cause error) error {
	_, err := v.updateConnection(ctx, id, false, func(c *storagev1.Connection) error {
		if !sameGrant(c, conn) {
			return errSuperseded
		}
		c.ReauthorizationRequired = true
		c.Problem = problem + connectAgain
		refreshEnded(c)
		if c.GetCandidate() == nil {
			schedule(c, time.Time{})
		}
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return errNotConnected(cause)
	}
	if err == nil {
		v.log.LogAttrs(ctx, slog.LevelWarn, "connection needs its person again", append(keyAttrs(keyOf(conn.GetKey())), slog.Any("cause", cause))...)
	}
	return errReauthorize(p, problem, errors.Join(cause, err))
}

// markEnded records that a token which cannot be refreshed has ended.
func (v *Vault) markEnded(ctx context.Context, id string, p *provider.Provider, conn *storagev1.Connection) error {
	ended := fmt.Sprintf("The token of %s ended on %s and cannot be refreshed.", p.DisplayName(), conn.GetGrant().GetExpireTime().AsTime().UTC().Format(time.DateOnly))
	return v.markDead(ctx, id, p, conn, ended, nil)
}
