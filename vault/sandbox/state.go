package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// codeLifetime is how long a code can be redeemed (RFC 6749, section 4.1.2: ten
// minutes at the most).
const codeLifetime = 10 * time.Minute

// state is what the sandbox has issued.
type state struct {
	Codes    map[string]*code         `json:"codes"`
	Access   map[string]*accessToken  `json:"access_tokens"`
	Refresh  map[string]*refreshToken `json:"refresh_tokens"`
	Families map[string]bool          `json:"families"` // false: revoked
}

func newState() state {
	return state{Codes: map[string]*code{}, Access: map[string]*accessToken{}, Refresh: map[string]*refreshToken{}, Families: map[string]bool{}}
}

// code is an authorization code.
type code struct {
	Client, RedirectURI, Challenge, Scope string
	Account                               int
	ExpireTime                            time.Time
	Family                                string // of what it was redeemed for; empty: not yet
}

// accessToken and refreshToken belong to a family: all that came of one consent.
type accessToken struct {
	Client, Family, Scope string
	Account               int
	ExpireTime            time.Time // zero: never
}

type refreshToken struct {
	Client, Family, Scope string
	Account               int
	Used                  bool
}

func (s *Sandbox) load() error {
	if s.config.StatePath == "" {
		return nil
	}
	data, err := os.ReadFile(s.config.StatePath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	if err := json.Unmarshal(data, &s.state); err != nil {
		return fmt.Errorf("sandbox: %s cannot be read; remove it to begin anew: %w", s.config.StatePath, err)
	}
	return nil
}

// save writes the state, with s.mu held.
func (s *Sandbox) save() error {
	if s.config.StatePath == "" {
		return nil
	}
	data, err := json.Marshal(s.state)
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	temporary := s.config.StatePath + ".new"
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	return os.Rename(temporary, s.config.StatePath)
}

// valid returns the access token if it works now, with s.mu held.
func (s *Sandbox) valid(token string) (*accessToken, bool) {
	t, ok := s.state.Access[token]
	if !ok || !s.state.Families[t.Family] {
		return nil, false
	}
	if !t.ExpireTime.IsZero() && !s.config.Now().Before(t.ExpireTime) {
		return nil, false
	}
	return t, true
}

// Valid reports whether an access token works now.
func (s *Sandbox) Valid(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.valid(token)
	return ok
}

// RevokeAll revokes everything that was issued, as people do in their account's
// settings.
func (s *Sandbox) RevokeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for family := range s.state.Families {
		s.state.Families[family] = false
	}
}
