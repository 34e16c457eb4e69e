package vault

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/store"
)

// RefreshConnection gets new tokens now, whatever life those at hand have left.
// Where there is no refresh token (Mailchimp), it asks the provider whether the
// access token still works, and brings the account's details up to date.
func (v *Vault) RefreshConnection(ctx context.Context, key Key) (Connection, error) {
	_, p, id, err := v.named(key)
	if err != nil {
		return Connection{}, err
	}
	conn, err := v.read(ctx, id)
	if err != nil {
		return Connection{}, err
	}
	switch {
	case conn.GetCandidate() != nil:
		conn, err = v.renew(ctx, id, p, want{})
	case conn.GetReauthorizationRequired():
		err = errReauthorize(p, conn.GetProblem(), nil)
	case conn.GetGrant() == nil:
		err = &Error{Reason: NotRefreshable, Message: "There is an API key only, and nothing to refresh about it."}
	case isRefreshable(conn.GetGrant()):
		conn, err = v.renew(ctx, id, p, want{newer: conn.GetGeneration()})
	default:
		conn, err = v.lookAgain(ctx, id, p)
	}
	if err != nil {
		return Connection{}, err
	}
	return v.describe(ctx, id, conn)
}

// lookAgain asks the provider whose token it is, once more.
func (v *Vault) lookAgain(ctx context.Context, id string, p *provider.Provider) (*storagev1.Connection, error) {
	if !p.HasCapture() {
		return nil, &Error{
			Reason:  NotRefreshable,
			Message: fmt.Sprintf("%s has issued nothing to refresh this connection with. Its token works until it ends or access is removed there.", p.DisplayName()),
		}
	}
	held, release, conn, err := v.lockConnection(ctx, id)
	if err != nil {
		return nil, err
	}
	defer release()
	if conn.GetGrant() == nil {
		return nil, errNotConnected(nil)
	}
	if p, err = bindStored(p, conn.GetGrant().GetParams()); err != nil {
		return nil, err
	}
	captured, err := capture(held, p, conn.GetGrant())
	if err != nil {
		return nil, v.lookFailed(held, id, p, conn, err)
	}
	if told := checkAccount(p, conn, captured.Account.ID); told != nil {
		return nil, told
	}
	stored, err := v.updateConnection(held, id, false, func(c *storagev1.Connection) error {
		if !sameGrant(c, conn) {
			return errSuperseded
		}
		c.Metadata = captured.Metadata
		c.Account = &storagev1.Account{Id: captured.Account.ID, Name: captured.Account.Name, Email: captured.Account.Email}
		c.Problem = ""
		return nil
	})
	if errors.Is(err, errSuperseded) {
		return v.orSuperseding(held, id, err)
	}
	return stored, err
}

// lookFailed says what is wrong with a token that cannot be refreshed. One
// refusal proves nothing (Mailchimp refuses valid tokens at times), so it is
// noted, and the token goes on being served.
func (v *Vault) lookFailed(ctx context.Context, id string, p *provider.Provider, conn *storagev1.Connection, cause error) error {
	told := unavailable(p, cause)
	told.Message = fmt.Sprintf("%s did not answer as it should. The connection stays as it is. Try again.", p.DisplayName())
	if provider.StatusOf(cause) == http.StatusUnauthorized {
		told = &Error{
			Reason:  TokenRefused,
			Message: fmt.Sprintf("%s has just refused this connection's token. One refusal proves nothing; if it stays so, access was removed there: call Connect and have the person open the link.", p.DisplayName()),
			Err:     cause,
		}
	}
	_, err := v.updateConnection(ctx, id, false, func(c *storagev1.Connection) error {
		if !sameGrant(c, conn) || told.Reason != TokenRefused {
			return errUnchanged
		}
		c.Problem = fmt.Sprintf("%s refused this connection's token when it was last asked. If it stays so, connect it again.", p.DisplayName())
		return nil
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		v.log.LogAttrs(ctx, slog.LevelWarn, "problem not stored", slog.Any("cause", err))
	}
	return told
}
