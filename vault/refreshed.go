package vault

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/store"
)

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
