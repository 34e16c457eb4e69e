package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// VerifierConfig says which tokens of users a [Verifier] believes.
type VerifierConfig struct {
	// Issuer makes the tokens. Its URL is required.
	Issuer Issuer
	// Audience is whom they must be made out to. Required.
	Audience string
	// Claim is the one that holds the subject. Empty: sub. With email, the issuer
	// has to say that the address is verified.
	Claim string
	// Now is the clock. Nil: time.Now.
	Now func() time.Time
}

// Verifier knows users by the tokens (JWTs) of one issuer that are made out to one
// audience. It is safe for concurrent use.
type Verifier struct {
	issuers                 issuers
	issuer, audience, claim string
	known                   *recent[*User]
}

// User is whom a token names.
type User struct {
	Subject string
	// Scopes are those of the token (RFC 8693, section 4.2), or of scp, where issuers
	// put them that are older than the RFC. May be nil.
	Scopes []string
	// Expiry is when the token ends.
	Expiry time.Time
}

// NewVerifier returns a verifier, which asks the issuer nothing yet. The error says what
// the config lacks.
func NewVerifier(c VerifierConfig) (*Verifier, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	all, err := newIssuers([]Issuer{c.Issuer}, c.Now)
	if err != nil {
		return nil, err
	}
	return newVerifier(c, all)
}

// newVerifier is NewVerifier with issuers that are there already. Of the config's own
// only the URL counts, which must be that of one of them.
func newVerifier(c VerifierConfig, all issuers) (*Verifier, error) {
	if c.Audience == "" || all[c.Issuer.URL] == nil {
		return nil, errors.New("access: tokens of users need an audience, and an issuer that is there")
	}
	return &Verifier{issuers: all, issuer: c.Issuer.URL, audience: c.Audience, claim: cmp.Or(c.Claim, "sub"), known: newRecent[*User](c.Now)}, nil
}

// Verify returns whom a token names. The User is shared with later calls: do not change
// it. Errors wrap [ErrSubjectToken] where the token is worth nothing, and [ErrUnavailable]
// where the issuer cannot be asked at the moment. It may wait for the issuer, as long as
// ctx lasts.
func (v *Verifier) Verify(ctx context.Context, token secret.String) (*User, error) {
	if user, ok := v.known.get(token); ok {
		return user, nil
	}
	if !looksLikeJWT(token) {
		return nil, fmt.Errorf("%w: it is no JWT", ErrSubjectToken)
	}
	verified, err := v.issuers.verify(ctx, token)
	if errors.Is(err, ErrUnknown) {
		return nil, fmt.Errorf("%w: %w", ErrSubjectToken, err)
	}
	if err != nil {
		return nil, err
	}
	if verified.Issuer != v.issuer || !slices.Contains(verified.Audience, v.audience) {
		return nil, fmt.Errorf("%w: it is of issuer %q for audience %q; wanted is one of issuer %q for audience %q", ErrSubjectToken, verified.Issuer, verified.Audience, v.issuer, v.audience)
	}
	subject, err := verified.claims.Subject(v.claim)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSubjectToken, err)
	}
	user := &User{Subject: subject, Scopes: scopesOf(verified.claims), Expiry: verified.Expiry}
	v.known.keep(token, user, verified.Expiry)
	return user, nil
}

// scopesOf reads the scopes in the two claims and the two forms in which they come.
func scopesOf(said map[string]any) []string {
	var scopes []string
	for _, name := range []string{"scope", "scp"} {
		switch value := said[name].(type) {
		case string:
			scopes = append(scopes, strings.Fields(value)...)
		case []any:
			for _, one := range value {
				if scope, ok := one.(string); ok {
					scopes = append(scopes, scope)
				}
			}
		}
	}
	return scopes
}
