package sandbox

import "net/http"

// Revocations counts what the revocation endpoint has done.
type Revocations struct {
	RefreshTokens int // each with its family
	AccessTokens  int
	Unknown       int // tokens that were not known, or dead already
	Refused       int // requests that were wrong
}

// Revocations returns what the revocation endpoint has done so far.
func (s *Sandbox) Revocations() Revocations {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revocations
}

// revoke is the revocation endpoint (RFC 7009). A refresh token takes its family
// along, an access token goes alone. token_type_hint is a hint, and not needed.
func (s *Sandbox) revoke(w http.ResponseWriter, r *http.Request, d dialect) {
	form, ok := readForm(r)
	client, known := Client{}, false
	if ok {
		client, known = s.authenticate(r, form, d)
	}
	s.mu.Lock()
	a := answer{status: http.StatusOK} // also for tokens that are not known
	switch {
	case !ok:
		a = refusal(http.StatusBadRequest, "invalid_request")
	case !known:
		a = refusal(http.StatusUnauthorized, "invalid_client")
	case form.Get("token") == "":
		a = refusal(http.StatusBadRequest, "invalid_request")
	case !s.revokeToken(form.Get("token"), client.ID, d.at()):
		a = refusal(http.StatusBadRequest, "invalid_grant")
	}
	if a.status != http.StatusOK {
		s.revocations.Refused++
	}
	_ = s.save()
	s.mu.Unlock()
	a.write(w)
}

// revokeToken revokes a token, with s.mu held. It reports false where the token
// is another client's (RFC 7009, section 2.1).
func (s *Sandbox) revokeToken(token, client, at string) bool {
	if t, ok := s.state.Refresh[token]; ok {
		if t.Client != client || t.At != at {
			return false
		}
		if s.state.Families[t.Family] {
			s.state.Families[t.Family] = false
			s.revocations.RefreshTokens++
			return true
		}
	}
	if t, ok := s.state.Access[token]; ok {
		if t.Client != client || t.At != at {
			return false
		}
		delete(s.state.Access, token)
		if s.state.Families[t.Family] {
			s.revocations.AccessTokens++
			return true
		}
	}
	s.revocations.Unknown++
	return true
}
