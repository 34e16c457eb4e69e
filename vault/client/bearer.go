package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"google.golang.org/grpc/credentials"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// bearer sends a caller token with every call (RFC 6750, section 2.1).
type bearer struct {
	read   func() (secret.String, error)
	secure bool // never send it without TLS
}

var _ credentials.PerRPCCredentials = bearer{}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	token, err := b.read()
	if err != nil {
		return nil, err
	}
	return map[string]string{"authorization": "Bearer " + token.Reveal()}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (b bearer) RequireTransportSecurity() bool { return b.secure }

// caller returns where the caller token comes from. Nil: there is none, but a
// certificate.
func (c *config) caller(hasCertificate bool) (func() (secret.String, error), error) {
	switch {
	case !c.token.IsZero() && c.tokenFile != "":
		return nil, errors.New("client: WithToken goes without WithTokenFile: leave out one of them")
	case c.tokenFile != "":
		f := &tokenFile{path: c.tokenFile}
		_, err := f.read()
		return f.read, err
	case !c.token.IsZero():
		token, err := checkToken(c.token.Reveal())
		if err != nil {
			return nil, fmt.Errorf("client: the caller token %w", err)
		}
		return func() (secret.String, error) { return token, nil }, nil
	case !hasCertificate:
		return nil, errNoCredential
	}
	return nil, nil
}

// tokenFile has the token that a file holds, which others replace.
type tokenFile struct {
	path string

	mu   sync.Mutex
	last secret.String // that was good
}

// read returns what the file holds now or, where that is no token, what it held last.
func (f *tokenFile) read() (secret.String, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	data, err := os.ReadFile(f.path)
	if err != nil {
		err = fmt.Errorf("client: read the caller token: %w", err)
	} else if f.last, err = f.parse(data); err == nil {
		return f.last, nil
	}
	if f.last.IsZero() {
		return secret.String{}, err
	}
	return f.last, nil
}

// parse returns the last token where the data is none.
func (f *tokenFile) parse(data []byte) (secret.String, error) {
	token, err := checkToken(strings.TrimSpace(string(data)))
	if err != nil {
		return f.last, fmt.Errorf("client: the caller token in %s %w", f.path, err)
	}
	return token, nil
}

// checkToken refuses what can be no token. Errors do not repeat it.
func checkToken(text string) (secret.String, error) {
	const scheme = "Bearer "
	switch {
	case text == "":
		return secret.String{}, errors.New("is empty: `tokenvault token generate` makes one")
	case len(text) >= len(scheme) && strings.EqualFold(text[:len(scheme)], scheme):
		return secret.String{}, errors.New(`begins with "Bearer ": write the token alone`)
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		return secret.String{}, errors.New("holds white space or other characters that no token has: write the token alone")
	}
	return secret.New(text), nil
}
