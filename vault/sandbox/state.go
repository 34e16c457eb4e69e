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
	Devices  map[string]*deviceCode   `json:"device_codes"`
	Reused   int                      `json:"reused"` // families revoked because of reuse
}

func newState() state {
	return state{Codes: map[string]*code{}, Access: map[string]*accessToken{}, Refresh: map[string]*refreshToken{}, Families: map[string]bool{}, Devices: map[string]*deviceCode{}}
}

// What is issued belongs to a script (At): it is worth nothing at another one's
// endpoints. At is empty for what the providers issue that are built in.

// code is an authorization code.
type code struct {
	At                                    string `json:",omitempty"`
	Client, RedirectURI, Challenge, Scope string
	Nonce, Resource                       string `json:",omitempty"`
	Account                               int
	ExpireTime                            time.Time
	Family                                string // of what it was redeemed for; empty: not yet
}

// accessToken and refreshToken belong to a family: all that came of one consent.
type accessToken struct {
	At                    string `json:",omitempty"`
	Client, Family, Scope string
	Nonce, Resource       string    `json:",omitempty"`
	Account               int       // 0: the client's own
	ExpireTime            time.Time // zero: never
}

type refreshToken struct {
	At                    string `json:",omitempty"`
	Client, Family, Scope string
	Resource              string `json:",omitempty"`
	Account               int
	Used                  bool      // it was rotated
	UseTime               time.Time // of the first use; without rotation, of the last
	IssueTime             time.Time
	ExpireTime            time.Time // zero: never
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
	if s.state.Devices == nil { // written before there were any
		s.state.Devices = map[string]*deviceCode{}
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
