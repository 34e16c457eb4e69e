package provider

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

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
	if e.ClientAuth != ClientAuthBasic {
		form.Set("client_id", p.config.ClientID)
	}
	if e.ClientAuth == ClientAuthPost {
		form.Set("client_secret", p.config.ClientSecret.Reveal())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.RevokeURL, strings.NewReader(form.Encode()))
	if err != nil {
		return &Error{Op: "revocation", Err: errors.New("revoke_url is not a URL")}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if e.ClientAuth == ClientAuthBasic {
		// RFC 6749, section 2.3.1: both are form-encoded first.
		req.SetBasicAuth(url.QueryEscape(p.config.ClientID), url.QueryEscape(p.config.ClientSecret.Reveal()))
	}
	client := http.Client{Transport: p.plain.Transport, Timeout: p.plain.Timeout, CheckRedirect: noRedirects}
	resp, err := client.Do(req)
	if err != nil {
		return &Error{Op: "revocation", Err: cause(err)}
	}
	if err := resp.Body.Close(); err != nil {
		return &Error{Op: "revocation", Err: err}
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNoContent {
		return &Error{Op: "revocation", Status: resp.StatusCode, RetryAfter: parseRetryAfter(resp.Header)}
	}
	return nil
}
