package vault

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/store"
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

// refreshed is what a refresh has brought, on its way into the store.
type refreshed struct {
	conn  *storagev1.Connection // as it was
	token provider.Token
	asked time.Time
}

// grant returns the new tokens as a grant that is to be given back.
func (r refreshed) grant() *storagev1.Grant {
	return &storagev1.Grant{
		AccessToken: r.token.AccessToken.Reveal(), RefreshToken: r.token.RefreshToken.Reveal(), Params: r.conn.GetGrant().GetParams(),
	}
}

// storeRefreshed stores new tokens. Where the store fails for longer than it is
// worth waiting, they are kept in memory, and stored by whoever comes next: the
// old refresh token is of no more use.
func (v *Vault) storeRefreshed(ctx context.Context, id string, p *provider.Provider, r refreshed) (*storagev1.Connection, error) {
	var stored *storagev1.Connection
	err := persist(ctx, func() (err error) {
		stored, err = v.updateConnection(ctx, id, false, func(c *storagev1.Connection) error {
			if !sameGrant(c, r.conn) {
				if c.GetGrant().GetAccessToken() == r.token.AccessToken.Reveal() {
					return errUnchanged // an attempt that seemed to fail had not
				}
				return errSuperseded
			}
			lost := lostRefreshToken(c.GetGrant(), r.token)
			c.Grant = refreshedGrant(c.GetGrant(), r.token, r.asked, p.Definition().Refresh.Lifetime)
			c.Generation++
			for name, value := range r.token.Captured.Metadata {
				if _, kept := c.GetMetadata()[name]; kept {
					c.Metadata[name] = value // such as another address of the API
				}
			}
			c.LastRefreshTime = timestamppb.New(v.now())
			c.Problem = ""
			since := c.GetRefreshIntent().GetStartTime()
			refreshEnded(c)
			schedule(c, due(c, p))
			if lost {
				// What came is served; what did not is asked for again, if
				// that can be done without harm.
				c.LostAnswerTime = since
				c.Problem = fmt.Sprintf("A part of %s's last answer was lost. The vault asks again as soon as that can do no harm.", p.DisplayName())
				schedule(c, v.now().Add(time.Second))
			}
			return nil
		})
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		v.unsaved.drop(id)
		return nil, v.refreshedInVain(ctx, p, r)
	case errors.Is(err, errSuperseded):
		v.unsaved.drop(id)
		return v.afterSuperseded(ctx, id, p, r, err)
	case err != nil:
		v.unsaved.put(id, r)
		return nil, fmt.Errorf("store refreshed tokens: %w", err)
	}
	v.unsaved.drop(id)
	v.log.LogAttrs(ctx, slog.LevelInfo, "token refreshed", append(keyAttrs(keyOf(stored.GetKey())), slog.Int64("generation", stored.GetGeneration()))...)
	return stored, nil
}

// refreshEnded forgets what only a refresh under way or failed needs.
func refreshEnded(c *storagev1.Connection) {
	c.RefreshIntent = nil
	c.RefreshFailures = 0
	c.LostAnswerTime = nil
	c.RefreshNotBefore = nil
	c.RefreshMisconfigured = false
}

// sameGrant reports whether two states of a connection hold the same tokens. The
// generation would not tell: it counts changes of the API key too, and begins anew
// with a connection.
func sameGrant(a, b *storagev1.Connection) bool {
	return a.GetGrant().GetAccessToken() == b.GetGrant().GetAccessToken() && a.GetGrant().GetRefreshToken() == b.GetGrant().GetRefreshToken() &&
		(a.GetGrant() == nil) == (b.GetGrant() == nil)
}

// refreshedInVain gives back tokens for which there is no connection any more.
func (v *Vault) refreshedInVain(ctx context.Context, p *provider.Provider, r refreshed) error {
	return errNotConnected(v.revokeLater(ctx, p, r.conn.GetKey(), r.grant()))
}

// afterSuperseded sees to tokens that came for a grant which is no longer there.
// Where it was disconnected, they are given back. Where another grant has taken its
// place they are not: at some providers that would take the other down.
func (v *Vault) afterSuperseded(ctx context.Context, id string, p *provider.Provider, r refreshed, cause error) (*storagev1.Connection, error) {
	note := new(storagev1.Disconnection)
	_, err := v.records.get(ctx, store.Key{Kind: kindDisconnections, ID: id}, note)
	if err == nil && !note.GetDisconnectTime().AsTime().Before(r.asked) {
		return nil, v.refreshedInVain(ctx, p, r)
	}
	return v.orSuperseding(ctx, id, cause)
}

// unsaved keeps tokens that could not be stored, by the connection's store key,
// until they can be or the process ends.
type unsaved struct {
	mu   sync.Mutex
	kept map[string]refreshed
}

func (u *unsaved) put(id string, r refreshed) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.kept[id] = r
}

func (u *unsaved) get(id string) (refreshed, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	r, ok := u.kept[id]
	return r, ok
}

func (u *unsaved) drop(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.kept, id)
}
