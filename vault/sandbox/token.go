package sandbox

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"time"
)

// token is the token endpoint (RFC 6749, section 3.2).
func (s *Sandbox) token(w http.ResponseWriter, r *http.Request, d dialect) {
	quirks := quirksOf(r.Context(), s.quirks(d))
	a, replaced := quirks.instead()
	if !replaced {
		a = s.grant(r, d, quirks)
	}
	quirks.apply(&a)
	a.write(w)
}

// grant checks a token request and answers it.
func (s *Sandbox) grant(r *http.Request, d dialect, quirks quirkSet) answer {
	form, ok := readTokenRequest(r, d)
	if !ok {
		return refusal(http.StatusBadRequest, "invalid_request")
	}
	client, ok := s.authenticate(r, form, d)
	if !ok {
		return refusal(http.StatusUnauthorized, "invalid_client")
	}
	if d.isOpenID() && !isResource(form.Get("resource")) {
		return refusal(http.StatusBadRequest, "invalid_target")
	}
	d.self = d.issuerOf(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	a := refusal(http.StatusBadRequest, "unsupported_grant_type")
	switch grant := form.Get("grant_type"); {
	case grant == "authorization_code":
		a = s.redeem(form, client, d, quirks)
	case grant == "refresh_token" && d.refreshes:
		a = s.refresh(form, client, d, quirks)
		a.refresh = true
	case grant == "client_credentials" && d.machines:
		a = s.clientToken(form, client, d)
	case grant == deviceGrant && d.hasDevices():
		a = s.deviceToken(form, client, d)
	}
	_ = s.save()
	return a
}

// clientToken is a token for the client itself (RFC 6749, section 4.4), with s.mu
// held. There is no refresh token (section 4.4.3).
func (s *Sandbox) clientToken(form url.Values, client Client, d dialect) answer {
	if client.Auth == AuthNone {
		return refusal(http.StatusBadRequest, "unauthorized_client")
	}
	if !d.scopesAreRight(form.Get("scope")) {
		return refusal(http.StatusBadRequest, "invalid_scope")
	}
	family := s.newFamily(client.ID, 0)
	return s.issue(d, accessToken{Client: client.ID, Family: family, Scope: form.Get("scope"), Resource: form.Get("resource")}, nil)
}

// redeem exchanges a code, with s.mu held. A code that comes twice is taken back
// with all that came of it (RFC 6749, section 4.1.2).
func (s *Sandbox) redeem(form url.Values, client Client, d dialect, quirks quirkSet) answer {
	c, ok := s.state.Codes[form.Get("code")]
	if !ok || c.At != d.at() || c.Client != client.ID || c.RedirectURI != form.Get("redirect_uri") || !s.config.Now().Before(c.ExpireTime) {
		return refusal(http.StatusBadRequest, "invalid_grant")
	}
	if c.Family != "" {
		s.reused(c.Family)
		return refusal(http.StatusBadRequest, "invalid_grant")
	}
	if !d.pkce && d.script != nil && form.Has("code_verifier") {
		return refusal(http.StatusBadRequest, "invalid_request")
	}
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	if d.pkce && !same(base64.RawURLEncoding.EncodeToString(sum[:]), c.Challenge) {
		return refusal(http.StatusBadRequest, "invalid_grant")
	}
	resource, ok := resourceOf(c.Resource, form.Get("resource"))
	if !ok {
		return refusal(http.StatusBadRequest, "invalid_target")
	}
	again := quirks.has(RefreshTokenFirstConsentOnly) && len(s.familiesOf(client.ID, c.Account)) > 0
	c.Family = s.newFamily(client.ID, c.Account)
	next := s.newRefreshToken(nil)
	if again || !d.refreshes {
		next = nil
	}
	return s.issue(d, accessToken{Client: client.ID, Family: c.Family, Scope: c.Scope, Nonce: c.Nonce, Resource: resource, Account: c.Account}, next)
}

// refresh uses a refresh token, with s.mu held. One that is used again when the
// grace is over takes its whole family down: somebody has stolen it, or lost the
// answer.
func (s *Sandbox) refresh(form url.Values, client Client, d dialect, quirks quirkSet) answer {
	id := form.Get("refresh_token")
	t, ok := s.state.Refresh[id]
	if !ok || t.At != d.at() || t.Client != client.ID || !s.alive(t) {
		return refusal(http.StatusBadRequest, "invalid_grant")
	}
	if t.Used && !s.withinGrace(t) {
		s.reused(t.Family)
		return refusal(http.StatusBadRequest, "invalid_grant")
	}
	resource, ok := resourceOf(t.Resource, form.Get("resource"))
	if !ok {
		return refusal(http.StatusBadRequest, "invalid_target")
	}
	access := accessToken{Client: client.ID, Family: t.Family, Scope: t.Scope, Resource: resource, Account: t.Account}
	if s.terms(d.at()).rotation == RotateNever || quirks.keepsRefreshToken() {
		t.UseTime = s.config.Now()
		t.ExpireTime = s.refreshTokenEnd(t)
		return s.issue(d, access, &nextRefreshToken{ID: id, Token: t})
	}
	if !t.Used {
		t.Used, t.UseTime = true, s.config.Now()
	}
	return s.issue(d, access, s.newRefreshToken(t))
}

// nextRefreshToken is a refresh token on its way to the client.
type nextRefreshToken struct {
	ID    string
	Token *refreshToken
}

// newRefreshToken makes a refresh token, with s.mu held; previous is the one that
// it replaces, or nil.
func (s *Sandbox) newRefreshToken(previous *refreshToken) *nextRefreshToken {
	return &nextRefreshToken{ID: newID(), Token: &refreshToken{IssueTime: s.config.Now(), ExpireTime: s.refreshTokenEnd(previous)}}
}

// refreshTokenEnd returns when a refresh token ends that is issued now.
func (s *Sandbox) refreshTokenEnd(previous *refreshToken) time.Time {
	switch {
	case s.config.RefreshTokenLifetime == 0:
		return time.Time{}
	case previous != nil && !s.config.RefreshTokenSliding:
		return previous.ExpireTime
	default:
		return s.config.Now().Add(s.config.RefreshTokenLifetime)
	}
}

// issue answers with new tokens, with s.mu held; refresh may be nil.
func (s *Sandbox) issue(d dialect, t accessToken, refresh *nextRefreshToken) answer {
	t.At = d.at()
	a := answer{status: http.StatusOK, fields: map[string]any{"expires_in": 0, "scope": nil}, metadata: s.config.TokenMetadata}
	if d.expires {
		lifetime := s.terms(d.at()).lifetime
		t.ExpireTime = s.config.Now().Add(lifetime)
		a.fields["expires_in"] = int(lifetime.Seconds())
	}
	access := s.accessText(d, t)
	a.fields["access_token"] = access
	s.addIDToken(&a, d, t)
	switch {
	case d.script != nil:
		a.fields["token_type"], a.fields["scope"] = d.script.tokenType(), t.Scope
		a.pointer, a.around = d.script.TokenPointer, s.fillFor(t.Account, d.script.TokenDocument)
	case d.expires:
		a.fields["token_type"], a.fields["scope"] = "Bearer", t.Scope
		for name, value := range s.config.TokenMetadata {
			a.fields[name] = value
		}
	}
	s.last = Issued{Family: t.Family, AccessToken: access, Scope: t.Scope, ExpireTime: t.ExpireTime}
	if refresh != nil {
		r := refresh.Token
		r.At, r.Client, r.Family, r.Scope, r.Resource, r.Account = t.At, t.Client, t.Family, t.Scope, t.Resource, t.Account
		s.state.Refresh[refresh.ID] = r
		s.last.RefreshToken = refresh.ID
		a.fields["refresh_token"] = refresh.ID
		if s.config.RefreshExpiresIn && !r.ExpireTime.IsZero() {
			a.fields["refresh_expires_in"] = int(r.ExpireTime.Sub(s.config.Now()).Seconds())
		}
	}
	s.state.Access[access] = &t
	return a
}
