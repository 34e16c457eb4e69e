package sandbox

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"time"
)

// token is the token endpoint (RFC 6749, section 3.2).
func (s *Sandbox) token(w http.ResponseWriter, r *http.Request, d dialect) {
	quirks := quirksOf(r.Context(), s.config.Quirks)
	a, replaced := quirks.instead()
	if !replaced {
		a = s.grant(r, d, quirks)
	}
	quirks.apply(&a)
	a.write(w)
}

// grant checks a token request and answers it.
func (s *Sandbox) grant(r *http.Request, d dialect, quirks quirkSet) answer {
	form, ok := readForm(r)
	if !ok {
		return refusal(http.StatusBadRequest, "invalid_request")
	}
	client, ok := s.authenticate(r)
	if !ok {
		return refusal(http.StatusUnauthorized, "invalid_client")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := refusal(http.StatusBadRequest, "unsupported_grant_type")
	switch grant := form.Get("grant_type"); {
	case grant == "authorization_code":
		a = s.redeem(form, client, d, quirks)
	case grant == "refresh_token" && d.expires:
		a = s.refresh(form, client, d, quirks)
		a.refresh = true
	}
	_ = s.save()
	return a
}

// readForm reads a form that may hold nothing twice (RFC 6749, section 3.2).
func readForm(r *http.Request) (url.Values, bool) {
	if err := r.ParseForm(); err != nil {
		return nil, false
	}
	for _, values := range r.PostForm {
		if len(values) > 1 {
			return nil, false
		}
	}
	return r.PostForm, true
}

// authenticate accepts a client in the one way it is registered for.
func (s *Sandbox) authenticate(r *http.Request) (Client, bool) {
	id, secret := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	user, password, basic := r.BasicAuth()
	if basic {
		var err1, err2 error
		user, err1 = url.QueryUnescape(user)
		password, err2 = url.QueryUnescape(password)
		if err1 != nil || err2 != nil || secret != "" || id != "" && id != user {
			return Client{}, false
		}
		id = user
	}
	client, ok := s.client(id)
	if !ok {
		return Client{}, false
	}
	switch client.Auth {
	case AuthBasic:
		return client, basic && same(password, client.Secret)
	case AuthPost:
		return client, !basic && same(secret, client.Secret)
	default:
		return client, !basic && secret == ""
	}
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// redeem exchanges a code, with s.mu held. A code that comes twice is taken back
// with all that came of it (RFC 6749, section 4.1.2).
func (s *Sandbox) redeem(form url.Values, client Client, d dialect, quirks quirkSet) answer {
	c, ok := s.state.Codes[form.Get("code")]
	if !ok || c.Client != client.ID || c.RedirectURI != form.Get("redirect_uri") || !s.config.Now().Before(c.ExpireTime) {
		return refusal(http.StatusBadRequest, "invalid_grant")
	}
	if c.Family != "" {
		s.reused(c.Family)
		return refusal(http.StatusBadRequest, "invalid_grant")
	}
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	if d.pkce && !same(base64.RawURLEncoding.EncodeToString(sum[:]), c.Challenge) {
		return refusal(http.StatusBadRequest, "invalid_grant")
	}
	again := quirks.has(RefreshTokenFirstConsentOnly) && len(s.familiesOf(client.ID, c.Account)) > 0
	c.Family = s.newFamily(client.ID, c.Account)
	next := s.newRefreshToken(nil)
	if again || !d.expires {
		next = nil
	}
	return s.issue(d, accessToken{Client: client.ID, Family: c.Family, Scope: c.Scope, Account: c.Account}, next)
}

// refresh uses a refresh token, with s.mu held. One that is used again when the
// grace is over takes its whole family down: somebody has stolen it, or lost the
// answer.
func (s *Sandbox) refresh(form url.Values, client Client, d dialect, quirks quirkSet) answer {
	id := form.Get("refresh_token")
	t, ok := s.state.Refresh[id]
	if !ok || t.Client != client.ID || !s.alive(t) {
		return refusal(http.StatusBadRequest, "invalid_grant")
	}
	if t.Used && !s.withinGrace(t) {
		s.reused(t.Family)
		return refusal(http.StatusBadRequest, "invalid_grant")
	}
	access := accessToken{Client: client.ID, Family: t.Family, Scope: t.Scope, Account: t.Account}
	if s.config.Rotation == RotateNever || quirks.keepsRefreshToken() {
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
	access := newID()
	fields := map[string]any{"access_token": access, "expires_in": 0, "scope": nil}
	if d.expires {
		t.ExpireTime = s.config.Now().Add(s.config.TokenLifetime)
		fields = map[string]any{
			"access_token": access, "token_type": "Bearer", "expires_in": int(s.config.TokenLifetime.Seconds()), "scope": t.Scope,
		}
		for name, value := range s.config.TokenMetadata {
			fields[name] = value
		}
	}
	s.last = Issued{Family: t.Family, AccessToken: access, Scope: t.Scope, ExpireTime: t.ExpireTime}
	if refresh != nil {
		r := refresh.Token
		r.Client, r.Family, r.Scope, r.Account = t.Client, t.Family, t.Scope, t.Account
		s.state.Refresh[refresh.ID] = r
		s.last.RefreshToken = refresh.ID
		fields["refresh_token"] = refresh.ID
		if s.config.RefreshExpiresIn && !r.ExpireTime.IsZero() {
			fields["refresh_expires_in"] = int(r.ExpireTime.Sub(s.config.Now()).Seconds())
		}
	}
	s.state.Access[access] = &t
	return answer{status: http.StatusOK, fields: fields, metadata: s.config.TokenMetadata}
}
