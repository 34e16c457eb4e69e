package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

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

// HashTokens returns the hashes of tokens, for a [Rule].
func HashTokens(tokens ...secret.String) []TokenHash {
	hashes := make([]TokenHash, len(tokens))
	for i, token := range tokens {
		hashes[i] = HashToken(token)
	}
	return hashes
}

// ParseTokenHash reads a hash as the configuration writes it: 64 hex digits. It
// refuses the hash of the empty text, which is what a script without its variable
// makes. Its errors do not repeat the text.
func ParseTokenHash(text string) (TokenHash, error) {
	const make = "make a token and its hash with `tokenvault token generate`"
	var h TokenHash
	switch raw, err := hex.DecodeString(text); {
	case text == "":
		return h, errors.New("is missing: " + make)
	case strings.HasPrefix(text, tokenPrefix):
		return h, fmt.Errorf("this is the token; write its hash, %v, and keep the token out of this file", HashToken(secret.New(text)))
	case err != nil || len(raw) != len(h):
		return h, errors.New("must be 64 hex digits: " + make)
	default:
		copy(h[:], raw)
	}
	if h == (TokenHash{}) {
		return h, errors.New("this is the README's placeholder: " + make)
	}
	if h == hashOfNothing() {
		return TokenHash{}, errors.New("this is the hash of the empty text, so whoever sends no token would be let in: " + make)
	}
	return h, nil
}

func hashOfNothing() TokenHash { return HashToken(secret.String{}) }

// String returns the hash as the configuration writes it.
func (h TokenHash) String() string { return hex.EncodeToString(h[:]) }
