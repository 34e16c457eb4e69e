package sandbox

import (
	"maps"
	"slices"
	"time"
)

// A family is all that came of one consent: the access tokens and the refresh
// tokens, each the successor of another. It lives and dies as one.

// Issued is what the token endpoint has issued at one time.
type Issued struct {
	Family                    string
	AccessToken, RefreshToken string // RefreshToken: empty where there is none
	Scope                     string
	ExpireTime                time.Time // of the access token; zero: never
}

// LastIssued returns what was issued last; the zero value where nothing was.
func (s *Sandbox) LastIssued() Issued {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// Secrets returns all that the sandbox has issued and nobody but its client may see:
// codes, tokens but ID tokens, and device codes that are not used up.
func (s *Sandbox) Secrets() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Concat(
		slices.Collect(maps.Keys(s.state.Codes)), slices.Collect(maps.Keys(s.state.Access)),
		slices.Collect(maps.Keys(s.state.Refresh)), slices.Collect(maps.Keys(s.state.Devices)),
	)
}

// Issue gives a client tokens of the standard provider as if that account had
// consented: a family of their own.
func (s *Sandbox) Issue(clientID string, account int, scope string) Issued {
	s.mu.Lock()
	defer s.mu.Unlock()
	family := s.newFamily(clientID, account)
	s.issue(standard(), accessToken{Client: clientID, Family: family, Scope: scope, Account: account}, s.newRefreshToken(nil))
	_ = s.save()
	return s.last
}

// newFamily begins a family, with s.mu held, and ends the oldest one if there are
// too many.
func (s *Sandbox) newFamily(client string, account int) string {
	if limit := s.config.MaxFamilies; limit > 0 {
		living := s.familiesOf(client, account)
		for len(living) >= limit {
			s.state.Families[living[0]] = false
			living = living[1:]
		}
	}
	family := newID()
	s.state.Families[family] = true
	return family
}

// familiesOf returns the living families with a refresh token of a client and an
// account, the oldest first, with s.mu held.
func (s *Sandbox) familiesOf(client string, account int) []string {
	began := map[string]time.Time{}
	for _, t := range s.state.Refresh {
		if t.Client != client || t.Account != account || !s.state.Families[t.Family] {
			continue
		}
		if first, ok := began[t.Family]; !ok || t.IssueTime.Before(first) {
			began[t.Family] = t.IssueTime
		}
	}
	return slices.SortedFunc(maps.Keys(began), func(a, b string) int { return began[a].Compare(began[b]) })
}

// FamilyOf returns the family of an access or refresh token; "" for a token that
// is not known.
func (s *Sandbox) FamilyOf(token string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.state.Access[token]; ok {
		return t.Family
	}
	if t, ok := s.state.Refresh[token]; ok {
		return t.Family
	}
	return ""
}

// RevokeFamily revokes all that came of one consent, as a person does in the
// account's settings.
func (s *Sandbox) RevokeFamily(family string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.state.Families[family]; ok {
		s.state.Families[family] = false
		_ = s.save()
	}
}

// RevokeAll revokes everything that was issued.
func (s *Sandbox) RevokeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for family := range s.state.Families {
		s.state.Families[family] = false
	}
	_ = s.save()
}

// LiveFamilies returns how many families have not been revoked.
func (s *Sandbox) LiveFamilies() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	live := 0
	for _, alive := range s.state.Families {
		if alive {
			live++
		}
	}
	return live
}

// RevokedFamilies returns how many families were revoked because one of their
// refresh tokens, or the code they came of, was used again when it must not be.
// Those revoked in another way are not counted.
func (s *Sandbox) RevokedFamilies() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.Reused
}

// reused revokes a family because of reuse, with s.mu held.
func (s *Sandbox) reused(family string) {
	if s.state.Families[family] {
		s.state.Families[family] = false
		s.state.Reused++
	}
}

// Valid reports whether an access token works now.
func (s *Sandbox) Valid(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.valid(token)
	return ok
}

// valid returns the access token if it works now, with s.mu held.
func (s *Sandbox) valid(token string) (*accessToken, bool) {
	t, ok := s.state.Access[token]
	if !ok || !s.state.Families[t.Family] || ended(t.ExpireTime, s.config.Now()) {
		return nil, false
	}
	return t, true
}

// RefreshTokenValid reports whether a refresh token would be taken now.
func (s *Sandbox) RefreshTokenValid(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.state.Refresh[token]
	return ok && s.alive(t) && (!t.Used || s.withinGrace(t))
}

// alive reports whether a refresh token has not ended, whether used or not, with
// s.mu held.
func (s *Sandbox) alive(t *refreshToken) bool {
	now := s.config.Now()
	if !s.state.Families[t.Family] || ended(t.ExpireTime, now) {
		return false
	}
	last := t.IssueTime
	if t.UseTime.After(last) {
		last = t.UseTime
	}
	idle := s.terms(t.At).idle
	return idle == 0 || now.Before(last.Add(idle))
}

// withinGrace reports whether a used refresh token may still be used.
func (s *Sandbox) withinGrace(t *refreshToken) bool {
	return s.config.Now().Before(t.UseTime.Add(s.terms(t.At).reuseGrace))
}

// ended reports whether an end, which is never where it is zero, has come.
func ended(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }
