package vault

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/store"
)

// settle puts the candidate into service once the provider has told whose it is.
// It is called with the connection's lock held.
func (v *Vault) settle(ctx context.Context, id string, p *provider.Provider, conn *storagev1.Connection) (*storagev1.Connection, error) {
	p, err := bindStored(p, conn.GetCandidate().GetParams())
	if err != nil {
		return nil, err
	}
	captured, err := capture(ctx, p, conn.GetCandidate())
	if err != nil {
		return nil, v.captureFailed(ctx, id, p, conn, err)
	}
	if err := checkAccount(p, conn, captured.Account.ID); err != nil {
		// Its tokens are not revoked: at some providers that would take down
		// whatever else that account has connected to this app.
		return nil, v.dropCandidate(ctx, id, p, conn, err)
	}
	var stored *storagev1.Connection
	err = persist(ctx, func() (err error) {
		stored, err = v.updateConnection(ctx, id, false, func(c *storagev1.Connection) error {
			if c.GetCandidate().GetAccessToken() != conn.GetCandidate().GetAccessToken() {
				return errSuperseded
			}
			accept(c, captured, v.now())
			schedule(c, due(c, p))
			return nil
		})
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, errNotConnected(err)
	case errors.Is(err, errSuperseded):
		return nil, errOvertaken(err)
	}
	return stored, err
}

// capture finds out whose a grant is. The client's own is nobody's: there is no
// account to look up.
func capture(ctx context.Context, p *provider.Provider, g *storagev1.Grant) (provider.Captured, error) {
	if g.GetType() == storagev1.Grant_TYPE_CLIENT_CREDENTIALS {
		captured := told(g)
		captured.Metadata = maps.Clone(captured.Metadata)
		if captured.Metadata == nil {
			captured.Metadata = map[string]string{}
		}
		maps.Copy(captured.Metadata, p.Params())
		return captured, nil
	}
	if !p.HasCapture() {
		return provider.Captured{}, nil
	}
	return p.Capture(ctx, secret.New(g.GetAccessToken()), told(g))
}

// checkAccount refuses a candidate of another account than the connection's.
func checkAccount(p *provider.Provider, conn *storagev1.Connection, id string) *Error {
	pinned := conn.GetAccount()
	grant, candidate := conn.GetGrant(), conn.GetCandidate()
	if grant == nil {
		return nil
	}
	// An account's id means something at its own authorization server only, and
	// a person's grant is not the client's.
	sameKind := maps.Equal(grant.GetParams(), candidate.GetParams()) && grant.GetType() == candidate.GetType()
	if sameKind && (pinned.GetId() == "" || p.Definition().Account.ID == "" || pinned.GetId() == id) {
		return nil
	}
	return &Error{
		Reason: AccountMismatch,
		Message: fmt.Sprintf("This connection belongs to another %[1]s account than the one that was used. Nothing was changed. "+
			"Sign in to %[1]s with the account that is connected, or disconnect it first. To have both, connect the second under a label of its own.", p.DisplayName()),
	}
}

// accept makes the candidate the grant.
func accept(c *storagev1.Connection, captured provider.Captured, now time.Time) {
	sameAccount := captured.Account.ID != "" && captured.Account.ID == c.GetAccount().GetId() && maps.Equal(c.GetGrant().GetParams(), c.Candidate.GetParams())
	carried := false
	if sameAccount && c.Candidate.RefreshToken == "" && !c.GetReauthorizationRequired() {
		// Some providers issue a refresh token at the first consent only
		// (Google); the one at hand is still good for the same account.
		c.Candidate.RefreshToken = c.GetGrant().GetRefreshToken()
		c.Candidate.RefreshExpireTime = c.GetGrant().GetRefreshExpireTime()
		c.Candidate.RefreshExpireFixed = c.GetGrant().GetRefreshExpireFixed()
		c.Candidate.Rotation = c.GetGrant().GetRotation()
		carried = true
	}
	c.Grant, c.Candidate = c.Candidate, nil
	c.Generation++
	c.ConnectTime = timestamppb.New(now)
	c.Metadata = captured.Metadata
	c.Account = &storagev1.Account{Id: captured.Account.ID, Name: captured.Account.Name, Email: captured.Account.Email}
	c.ReauthorizationRequired = false
	c.Problem = ""
	c.CaptureAttempts = 0
	if !carried { // else, what is known of its use is known still
		refreshEnded(c)
	}
}

// maxCaptureAttempts is when the background gives up on a candidate: with the
// pauses growing to an hour, after about two days.
const maxCaptureAttempts = 60

// captureFailed keeps the candidate, for the background to try again, and says
// what is wrong. What callers ask for in the meantime does not count as attempts.
func (v *Vault) captureFailed(ctx context.Context, id string, p *provider.Provider, conn *storagev1.Connection, cause error) error {
	told := &Error{
		Reason: ProviderUnavailable,
		Message: fmt.Sprintf("%s has authorised the connection, but does not yet tell which account it is. The vault keeps asking; try again.",
			p.DisplayName()),
		RetryAfter: max(provider.RetryAfter(cause), retryAfter),
		Err:        cause,
	}
	candidate := conn.GetCandidate()
	if candidate.GetExpireTime() != nil && !v.now().Before(candidate.GetExpireTime().AsTime()) {
		return v.dropCandidate(ctx, id, p, conn, told)
	}
	_, err := v.updateConnection(ctx, id, false, func(c *storagev1.Connection) error {
		if c.GetProblem() == told.Message {
			return errUnchanged
		}
		c.Problem = told.Message
		return nil
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		told.Err = errors.Join(cause, err)
	}
	return told
}

// retryCandidate tries to settle a candidate in the background.
func (v *Vault) retryCandidate(ctx context.Context, id string, p *provider.Provider) error {
	_, renewErr := v.renew(ctx, id, p, want{})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	conn, err := v.updateConnection(ctx, id, false, func(c *storagev1.Connection) error {
		if c.GetCandidate() == nil {
			return errUnchanged
		}
		c.CaptureAttempts++
		schedule(c, v.now().Add(max(backoff(c.GetCaptureAttempts()), provider.RetryAfter(renewErr))))
		return nil
	})
	if errors.Is(err, store.ErrNotFound) || err == nil && conn.GetCandidate() == nil {
		return nil
	}
	if err != nil {
		return err
	}
	v.log.LogAttrs(ctx, slog.LevelWarn, "account details not to be had yet", append(keyAttrs(keyOf(conn.GetKey())), slog.Any("cause", renewErr))...)
	if conn.GetCaptureAttempts() < maxCaptureAttempts {
		return nil
	}
	told := &Error{Reason: ProviderUnavailable, Message: fmt.Sprintf("%s has never told which account the connection belongs to. Connect it again.", p.DisplayName())}
	if err := v.dropCandidate(ctx, id, p, conn, told); !errors.Is(err, told) {
		return err
	}
	return nil
}

// dropCandidate takes the candidate away and returns the reason, told. A
// connection that works goes on as it was; one that has nothing else needs the
// person again.
func (v *Vault) dropCandidate(ctx context.Context, id string, p *provider.Provider, conn *storagev1.Connection, told *Error) error {
	_, err := v.updateConnection(ctx, id, false, func(c *storagev1.Connection) error {
		if c.GetCandidate().GetAccessToken() != conn.GetCandidate().GetAccessToken() {
			return errUnchanged
		}
		c.Candidate = nil
		c.CaptureAttempts = 0
		if c.GetGrant() == nil {
			c.ReauthorizationRequired = true
			c.Problem = told.Message
		}
		schedule(c, due(c, p))
		return nil
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		told.Err = errors.Join(told.Err, err)
	}
	return told
}

// told is what the token response of a grant has told besides the tokens.
func told(g *storagev1.Grant) provider.Captured {
	a := g.GetToldAccount()
	return provider.Captured{
		Metadata: g.GetToldMetadata(),
		Account:  provider.Account{ID: a.GetId(), Name: a.GetName(), Email: a.GetEmail()},
	}
}
