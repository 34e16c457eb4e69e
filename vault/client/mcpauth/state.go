package mcpauth

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tokenvault/tokenvault/vault/client"
)

const (
	keySize = 32
	// statePrefix tells the states of this package from those of tools. The version is of
	// what is sealed.
	statePrefix = "tokenvault.connect.1."
	// statePurpose is bound to each state, and to the key.
	statePurpose = "tokenvault mcpauth request state, version 1"
	// maxState bounds what is read, in bytes.
	maxState = 16 << 10
	// stateLife is longer than any link's.
	stateLife = time.Hour
)

// state is what a client keeps between two rounds of a call (requestState of revision
// 2026-07-28). It is sealed: the client may neither read nor change it.
type state struct {
	Subject  string `json:"subject"`
	Provider string `json:"provider"`
	Label    string `json:"label"`
	Tool     string `json:"tool"`
	// Arguments is the hash of the call's.
	Arguments []byte `json:"arguments"`
	// URL is the link that the person was given, with when it was made and when it ends.
	URL      string    `json:"url"`
	LinkMade time.Time `json:"link_made"`
	LinkEnd  time.Time `json:"link_end"`
	// Refused is that of the flow's key.
	Refused int64 `json:"refused,omitempty"`
	// End is when the state is no longer taken.
	End time.Time `json:"end"`
}

// given is the link that the person has.
func (s *state) given() *given {
	return &given{link: &client.Link{URL: s.URL, ExpireTime: s.LinkEnd}, at: s.LinkMade}
}

// sealer seals states.
type sealer struct{ aead cipher.AEAD }

// newSealer takes a secret of any length from 32 bytes on. Nil: it makes one.
func newSealer(secret []byte) (*sealer, error) {
	if secret == nil {
		secret = make([]byte, keySize)
		_, _ = rand.Read(secret) // never fails
	}
	key, err := hkdf.Key(sha256.New, secret, nil, statePurpose, keySize)
	if err != nil {
		return nil, fmt.Errorf("mcpauth: the key for request states: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("mcpauth: the key for request states: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("mcpauth: the key for request states: %w", err)
	}
	return &sealer{aead}, nil
}

// isOurs reports whether a request state is one of this package, by its looks.
func isOurs(requestState string) bool { return strings.HasPrefix(requestState, statePrefix) }

func (s *sealer) seal(st *state) (string, error) {
	plain, err := json.Marshal(st)
	if err != nil {
		return "", fmt.Errorf("mcpauth: seal a request state: %w", err)
	}
	return statePrefix + base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, plain, []byte(statePurpose))), nil
}

// open returns what was sealed. It may be past its end.
func (s *sealer) open(text string) (*state, error) {
	if len(text) > maxState {
		return nil, fmt.Errorf("it has %d bytes, more than %d", len(text), maxState)
	}
	encoded, ok := strings.CutPrefix(text, statePrefix)
	if !ok {
		return nil, errors.New("it is not one of this package")
	}
	// One text for each state: no spare bits, and none of the line ends that the decoder
	// leaves out.
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || strings.ContainsAny(encoded, "\r\n") {
		return nil, errors.New("it is not base64url")
	}
	plain, err := s.aead.Open(nil, nil, sealed, []byte(statePurpose))
	if err != nil {
		return nil, errors.New("it was not sealed with this key: was it made by another server, or before a restart without StateKey")
	}
	st := new(state)
	if err := json.Unmarshal(plain, st); err != nil {
		return nil, fmt.Errorf("it holds something else: %w", err)
	}
	return st, nil
}

// hashArguments is the same for two texts that mean the same object.
func hashArguments(raw json.RawMessage) ([sha256.Size]byte, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = json.RawMessage("{}")
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("read the arguments: %w", err)
	}
	canonical, err := json.Marshal(value) // sorts the keys of objects
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("write the arguments: %w", err)
	}
	return sha256.Sum256(canonical), nil
}
