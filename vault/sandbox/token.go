package sandbox

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
)

// token is the token endpoint (RFC 6749, section 3.2).
func (s *Sandbox) token(w http.ResponseWriter, r *http.Request, d dialect) {
	if err := r.ParseForm(); err != nil {
		refuse(w, http.StatusBadRequest, "invalid_request")
		return
	}
	for _, values := range r.PostForm {
		if len(values) > 1 {
			refuse(w, http.StatusBadRequest, "invalid_request")
			return
		}
	}
	client, ok := s.authenticate(r)
	if !ok {
		refuse(w, http.StatusUnauthorized, "invalid_client")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch grant := r.PostForm.Get("grant_type"); {
	case grant == "authorization_code":
		s.redeem(w, r.PostForm, client, d)
	case grant == "refresh_token" && d.expires:
		s.refresh(w, r.PostForm, client, d)
	default:
		refuse(w, http.StatusBadRequest, "unsupported_grant_type")
	}
	_ = s.save()
}

// authenticate accepts a client in the one way it is registered for.
func (s *Sandbox) authenticate(r *http.Request) (Client, bool) {
	id, secret := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	user, password, basic := r.BasicAuth()
	if basic {
		var err1, err2 error
		user, err1 = url.QueryUnescape(user)
		password, err2 = url.QueryUnescape(password)
		if err1 != nil || err2 != nil || secret != "" {
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
func (s *Sandbox) redeem(w http.ResponseWriter, form url.Values, client Client, d dialect) {
	c, ok := s.state.Codes[form.Get("code")]
	if !ok || c.Client != client.ID || c.RedirectURI != form.Get("redirect_uri") || !s.config.Now().Before(c.ExpireTime) {
		refuse(w, http.StatusBadRequest, "invalid_grant")
		return
	}
	if c.Family != "" {
		s.state.Families[c.Family] = false
		refuse(w, http.StatusBadRequest, "invalid_grant")
		return
	}
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	if d.pkce && !same(base64.RawURLEncoding.EncodeToString(sum[:]), c.Challenge) {
		refuse(w, http.StatusBadRequest, "invalid_grant")
		return
	}
	c.Family = newID()
	s.state.Families[c.Family] = true
	s.issue(w, d, accessToken{Client: client.ID, Family: c.Family, Scope: c.Scope, Account: c.Account})
}

// refresh rotates a refresh token, with s.mu held. One that comes twice takes
// its whole family down: somebody has stolen it, or lost the answer.
func (s *Sandbox) refresh(w http.ResponseWriter, form url.Values, client Client, d dialect) {
	t, ok := s.state.Refresh[form.Get("refresh_token")]
	if !ok || t.Client != client.ID || !s.state.Families[t.Family] {
		refuse(w, http.StatusBadRequest, "invalid_grant")
		return
	}
	if t.Used {
		s.state.Families[t.Family] = false
		refuse(w, http.StatusBadRequest, "invalid_grant")
		return
	}
	t.Used = true
	s.issue(w, d, accessToken{Client: client.ID, Family: t.Family, Scope: t.Scope, Account: t.Account})
}

// issue answers with new tokens, with s.mu held.
func (s *Sandbox) issue(w http.ResponseWriter, d dialect, t accessToken) {
	access := newID()
	answer := map[string]any{"access_token": access, "expires_in": 0, "scope": nil}
	if d.expires {
		t.ExpireTime = s.config.Now().Add(s.config.TokenLifetime)
		refresh := newID()
		s.state.Refresh[refresh] = &refreshToken{Client: t.Client, Family: t.Family, Scope: t.Scope, Account: t.Account}
		answer = map[string]any{
			"access_token": access, "token_type": "Bearer", "expires_in": int(s.config.TokenLifetime.Seconds()),
			"refresh_token": refresh, "scope": t.Scope,
		}
	}
	s.state.Access[access] = &t
	writeJSON(w, http.StatusOK, answer)
}

// revoke is the revocation endpoint (RFC 7009).
func (s *Sandbox) revoke(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		refuse(w, http.StatusBadRequest, "invalid_request")
		return
	}
	client, ok := s.authenticate(r)
	if !ok {
		refuse(w, http.StatusUnauthorized, "invalid_client")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	token := r.PostForm.Get("token")
	if t, ok := s.state.Refresh[token]; ok && t.Client == client.ID {
		s.state.Families[t.Family] = false
	}
	if t, ok := s.state.Access[token]; ok && t.Client == client.ID {
		delete(s.state.Access, token)
	}
	_ = s.save()
	w.WriteHeader(http.StatusOK) // also for tokens that are not known
}

func refuse(w http.ResponseWriter, status int, code string) {
	writeJSON(w, status, map[string]string{"error": code})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
