package provider

import (
	"context"
	"errors"
	"io"
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
	accessErr := p.revoke(ctx, e, t.AccessToken, "access_token")
	if !t.RefreshToken.IsZero() && refreshErr == nil && wentAlong(accessErr) {
		accessErr = nil
	}
	return errors.Join(refreshErr, accessErr)
}

// wentAlong reports whether a provider that has revoked a refresh token refuses
// the access token as one that it does not know any more, or never takes here
// (RFC 7009, sections 2.1 and 2.2.1).
func wentAlong(err error) bool {
	switch StatusOf(err) {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusNotFound:
		return true
	default:
		return false
	}
}

func (p *Provider) revoke(ctx context.Context, e Endpoints, token secret.String, hint string) error {
	form := url.Values{"token": {token.Reveal()}, "token_type_hint": {hint}}
	resp, err := p.post(ctx, "revocation", e, e.RevokeURL, form)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusNoContent {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return &Error{Op: "revocation", Status: resp.StatusCode, Err: errors.New("the answer broke off")}
	}
	return refusal("revocation", resp, body)
}
