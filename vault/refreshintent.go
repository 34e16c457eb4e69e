package vault

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/store"
)

// settleEarlier settles what earlier refreshes have left. It returns an error where
// the refresh token must not be used now. Where it must never be used again, it has
// marked the connection as dead; where it may be later, it has put that off.
func (v *Vault) settleEarlier(held context.Context, id string, p *provider.Provider, conn *storagev1.Connection) error {
	g, now := conn.GetGrant(), v.now()
	if told := heldOff(p, conn, now); told != nil {
		return told
	}
	if g.GetRotation() == storagev1.Grant_ROTATION_KEPT {
		return nil // using it again does no harm
	}
	if intent := conn.GetRefreshIntent(); intentIsOf(intent, conn) && !withinGrace(p, timeOf(intent.GetStartTime()), now) {
		problem := fmt.Sprintf("The vault was stopped while %s was refreshing this connection (%s), and the answer was lost. The refresh token may be used up, and %s would take using it again for theft.",
			p.DisplayName(), intent.GetStartTime().AsTime().UTC().Format(time.RFC3339), p.DisplayName())
		return v.markDead(held, id, p, conn, problem, errors.New("refresh intent found open past the provider's grace"))
	}
	lost := timeOf(conn.GetLostAnswerTime())
	if lost.IsZero() || withinGrace(p, lost, now) {
		return nil
	}
	// Using the refresh token again may cost what it has brought before. It is
	// tried once there is nothing left to lose.
	if end := timeOf(g.GetExpireTime()).Add(-leastTTL); now.Before(end) {
		v.postpone(held, id, conn, end)
		return unavailable(p, fmt.Errorf("an answer was lost; the refresh token is not used again before %s", end.UTC().Format(time.RFC3339)))
	}
	return nil
}

// heldOff returns what callers are told during the pause after failed refreshes, or
// nil where it is over. The background goes by the time that the connection is due.
func heldOff(p *provider.Provider, conn *storagev1.Connection, now time.Time) *Error {
	wait := timeOf(conn.GetRefreshNotBefore()).Sub(now)
	if wait <= 0 || isDue(conn, now) {
		return nil
	}
	cause := errors.New("not asked before the pause after earlier failures is over")
	told := unavailable(p, cause)
	if conn.GetRefreshMisconfigured() {
		told = misconfigured(p, cause)
	}
	told.RetryAfter = wait
	return told
}

// intentIsOf reports whether an intent is about the grant that the connection has.
func intentIsOf(intent *storagev1.RefreshIntent, conn *storagev1.Connection) bool {
	sum := sha256.Sum256([]byte(conn.GetGrant().GetRefreshToken()))
	return intent != nil && string(intent.GetRefreshTokenSha256()) == string(sum[:])
}

// withinGrace reports whether a refresh token that was first used then can be
// used again now, and still will be when the request arrives.
func withinGrace(p *provider.Provider, used, now time.Time) bool {
	grace := p.Definition().Refresh.Grace
	return now.Before(used.Add(grace - min(grace/10, 5*time.Second)))
}

// postpone has the connection looked at later. That it does not succeed does no
// harm.
func (v *Vault) postpone(ctx context.Context, id string, conn *storagev1.Connection, until time.Time) {
	_, err := v.updateConnection(ctx, id, false, func(c *storagev1.Connection) error {
		if !sameGrant(c, conn) || timeOf(c.GetDueTime()).After(v.now()) {
			return errUnchanged
		}
		schedule(c, until)
		return nil
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		v.log.LogAttrs(ctx, slog.LevelWarn, "refresh not postponed", slog.Any("cause", err))
	}
}

// storeIntent stores that the refresh token is about to be used. Of several
// intents with the same refresh token the first one's time stays.
func (v *Vault) storeIntent(held context.Context, id string, conn *storagev1.Connection, now time.Time) (*storagev1.Connection, error) {
	stored, err := v.updateConnection(held, id, false, func(c *storagev1.Connection) error {
		if !sameGrant(c, conn) {
			return errSuperseded
		}
		start := now
		if intentIsOf(c.GetRefreshIntent(), c) {
			start = c.GetRefreshIntent().GetStartTime().AsTime()
		} else if lost := timeOf(c.GetLostAnswerTime()); !lost.IsZero() {
			start = lost
		}
		sum := sha256.Sum256([]byte(c.GetGrant().GetRefreshToken()))
		c.RefreshIntent = &storagev1.RefreshIntent{Generation: c.GetGeneration(), RefreshTokenSha256: sum[:], StartTime: timestamppb.New(start)}
		schedule(c, now) // a process that begins where this one ends looks at once
		return nil
	})
	if err != nil {
		return nil, readError(err)
	}
	return stored, nil
}
