package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// SubjectTokens says which tokens of users fix the subject of a request: those of
// one issuer, made out to one audience.
type SubjectTokens struct {
	// Tenant is the one that the users belong to. A caller of another tenant cannot
	// use their tokens: the same subject is somebody else there.
	Tenant           string
	Issuer, Audience string
	// Claim is the one that holds the subject. Empty: sub. With email, the issuer
	// has to say that the address is verified.
	Claim string
}

// ErrSubjectToken says that a token is not that of a user, or not any more.
var ErrSubjectToken = errors.New("access: not a token of a user")

// users knows users by their own tokens.
type users struct {
	config  SubjectTokens
	issuers issuers
	known   *recent[string]
}

func newUsers(c SubjectTokens, all issuers, now func() time.Time) (*users, error) {
	if c.Claim == "" {
		c.Claim = "sub"
	}
	if c.Tenant == "" || c.Audience == "" || all[c.Issuer] == nil {
		return nil, errors.New("access: tokens of users need a tenant, an audience, and an issuer that is there")
	}
	return &users{config: c, issuers: all, known: newRecent[string](now)}, nil
}

// Subject returns the subject that a user's own token names, for a caller of that
// tenant. The error is ErrSubjectToken or ErrUnavailable. It may wait for the issuer.
func (p *Policy) Subject(ctx context.Context, tenant string, token secret.String) (string, error) {
	if p.users == nil {
		return "", fmt.Errorf("%w: the configuration has no subject_tokens", ErrSubjectToken)
	}
	if users := p.users.config.Tenant; users != tenant {
		return "", fmt.Errorf("%w of tenant %q: the users are those of tenant %q", ErrSubjectToken, tenant, users)
	}
	return p.users.subject(ctx, token)
}

func (u *users) subject(ctx context.Context, token secret.String) (string, error) {
	if subject, ok := u.known.get(token); ok {
		return subject, nil
	}
	if !looksLikeJWT(token) {
		return "", fmt.Errorf("%w: it is no JWT", ErrSubjectToken)
	}
	verified, err := u.issuers.verify(ctx, token)
	if errors.Is(err, ErrUnknown) {
		return "", fmt.Errorf("%w: %w", ErrSubjectToken, err)
	}
	if err != nil {
		return "", err
	}
	if verified.Issuer != u.config.Issuer || !slices.Contains(verified.Audience, u.config.Audience) {
		return "", fmt.Errorf("%w: it is of issuer %q for audience %q", ErrSubjectToken, verified.Issuer, verified.Audience)
	}
	subject, err := verified.claims.Subject(u.config.Claim)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrSubjectToken, err)
	}
	u.known.keep(token, subject, verified.Expiry)
	return subject, nil
}
