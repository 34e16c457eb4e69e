package sandbox

import (
	"net/http"
	"strings"
)

// userinfo is the standard provider's account endpoint.
func (s *Sandbox) userinfo(w http.ResponseWriter, r *http.Request, _ dialect) {
	a, ok := s.bearer(r, "Bearer")
	if !ok {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_token"})
		return
	}
	writeJSON(w, http.StatusOK, a.identity())
}

// bearer returns the token of the Authorization header, under any of the schemes
// given, and whose it is.
func (s *Sandbox) bearer(r *http.Request, schemes ...string) (Account, bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, allowed := range schemes {
		if strings.EqualFold(scheme, allowed) {
			if t, ok := s.valid(token); ok && t.At == "" {
				return s.account(t.Account)
			}
		}
	}
	return Account{}, false
}
