package vault

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/store"
)

// newGrant is what is stored of the token response at the end of a flow.
func newGrant(p *provider.Provider, link *storagev1.Session, token provider.Token, asked time.Time) *storagev1.Grant {
	grant := grantRecord(token, asked, p.Definition().Refresh.Lifetime)
	grant.Params = link.GetParams()
	if grant.Scopes == nil {
		// What is left out is as it was asked for (RFC 6749, section 5.1).
		grant.Scopes = p.ScopesFor(link.GetScopes())
	}
	return grant
}

// keep stores the tokens of a flow, together with its end, and then puts them into
// service.
func (v *Vault) keep(ctx context.Context, p *provider.Provider, id string, link openSession, grant *storagev1.Grant, end ...store.Op) (*storagev1.Connection, error) {
	conn, err := v.storeCandidate(ctx, id, link, grant, end...)
	if err != nil {
		return nil, errors.Join(err, v.revokeLater(ctx, p, link.GetKey(), grant))
	}
	return v.settleAfterConsent(ctx, p, id, conn)
}

// storeCandidate stores the tokens as the connection's candidate, in one commit
// with the end of the session, if it is one that is stored. What it stores cannot
// be had again, so nothing but the connection itself and its disconnection can be
// in the way.
func (v *Vault) storeCandidate(ctx context.Context, id string, link openSession, grant *storagev1.Grant, end ...store.Op) (*storagev1.Connection, error) {
	if link.storeKey != (store.Key{}) {
		link.State = storagev1.Session_STATE_USED
		used, err := v.records.put(link.storeKey, link.Session, store.Any)
		if err != nil {
			return nil, err
		}
		end = append(end, used)
	}
	var conn *storagev1.Connection
	err := persist(ctx, func() (err error) {
		for range maxConflicts {
			var still store.Op
			if still, err = v.notDisconnectedSince(ctx, id, link.Session); err != nil {
				return err
			}
			conn, err = v.updateConnection(ctx, id, true, func(c *storagev1.Connection) error {
				c.Key = link.GetKey()
				c.Candidate = grant
				c.CaptureAttempts = 0
				schedule(c, v.now().Add(retryAfter))
				return nil
			}, append(slices.Clone(end), still)...)
			if !errors.Is(err, store.ErrConflict) {
				return err
			}
		}
		return err
	})
	return conn, err
}

// settleAfterConsent settles the candidate that a callback has just stored. A
// provider that stumbles now is asked again in the background; to the person the
// account is connected.
func (v *Vault) settleAfterConsent(ctx context.Context, p *provider.Provider, id string, stored *storagev1.Connection) (*storagev1.Connection, error) {
	held, release, conn, err := v.lockConnection(ctx, id)
	if err != nil {
		return v.settleLater(ctx, stored, err)
	}
	defer release()
	ours := stored.GetCandidate().GetAccessToken()
	if conn.GetCandidate().GetAccessToken() != ours {
		if conn.GetGrant().GetAccessToken() == ours {
			return conn, nil // a reader was faster
		}
		return nil, errOvertaken(nil)
	}
	settled, err := v.settle(held, id, p, conn)
	if ReasonOf(err) == ProviderUnavailable || err != nil && ReasonOf(err) == "" {
		return v.settleLater(ctx, stored, err)
	}
	return settled, err
}

// settleLater leaves a candidate that is stored to the background.
func (v *Vault) settleLater(ctx context.Context, stored *storagev1.Connection, cause error) (*storagev1.Connection, error) {
	if ReasonOf(cause) == NotConnected {
		return nil, errOvertaken(cause)
	}
	v.log.LogAttrs(ctx, slog.LevelWarn, "account details not to be had yet, trying again in the background",
		append(keyAttrs(keyOf(stored.GetKey())), slog.Any("cause", cause))...)
	return stored, nil
}

// errOvertaken is for the browser of a flow whose outcome another one has undone.
func errOvertaken(cause error) *Error {
	return &Error{
		Reason:  AuthorizationFailed,
		Message: "The account was connected or disconnected in another window at the same moment. Go back to where you got the link to see what is connected.",
		Err:     cause,
	}
}
