package provider

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// Revoke revokes a token (RFC 7009): the refresh token first, since many
// providers revoke its access tokens with it, then the access token. It returns
// ErrNotSupported where the definition has no revocation endpoint.
func (p *Provider) Revoke(ctx context.Context, t Token) error {
	e, err := p.Endpoints(ctx)
	if err != nil {
		return err
	}
	if e.RevokeURL == "" {
		return ErrNotSupported
	}
	var refreshErr error
	if !t.RefreshToken.IsZero() {
		refreshErr = p.revoke(ctx, e, t.RefreshToken, "refresh_token")
	}
	if t.AccessToken.IsZero() {
		return refreshErr
	}
	return errors.Join(refreshErr, p.revoke(ctx, e, t.AccessToken, "access_token"))
}

func (p *Provider) revoke(ctx context.Context, e Endpoints, token secret.String, hint string) error {
	form := url.Values{"token": {token.Reveal()}, "token_type_hint": {hint}}
	resp, err := p.post(ctx, "revocation", e, e.RevokeURL, form)
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil {
		return &Error{Op: "revocation", Err: err}
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNoContent {
		return &Error{Op: "revocation", Status: resp.StatusCode, RetryAfter: parseRetryAfter(resp.Header)}
	}
	return nil
}
