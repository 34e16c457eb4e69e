package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// tokenPrefix marks caller tokens, for people and for scanners that look for
// secrets in places where none should be.
const tokenPrefix = "tv_"

// TokenHash is the SHA-256 of a caller token. The configuration holds hashes, so
// that whoever reads it cannot call. A token has 256 random bits, which is why a
// plain hash will do.
type TokenHash [sha256.Size]byte

// GenerateToken returns a new caller token.
func GenerateToken() secret.String {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return secret.New(tokenPrefix + base64.RawURLEncoding.EncodeToString(b[:]))
}

// HashToken returns the hash by which the configuration knows a token.
func HashToken(token secret.String) TokenHash {
	var b [64]byte // on the stack, where no copy of the token stays
	return sha256.Sum256(append(b[:0], token.Reveal()...))
}

// ParseTokenHash reads a hash as the configuration writes it: 64 hex digits. It
// refuses the hash of the empty text, which is what a script without its variable
// makes.
func ParseTokenHash(text string) (TokenHash, error) {
	var h TokenHash
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(h) {
		return TokenHash{}, errors.New("64 hex digits: make a token and its hash with `tokenvault token generate`")
	}
	copy(h[:], raw)
	if h == hashOfNothing() {
		return TokenHash{}, errors.New("this is the hash of the empty text, so whoever sends no token would be let in: make a token and its hash with `tokenvault token generate`")
	}
	return h, nil
}

func hashOfNothing() TokenHash { return HashToken(secret.String{}) }

// String returns the hash as the configuration writes it.
func (h TokenHash) String() string { return hex.EncodeToString(h[:]) }
