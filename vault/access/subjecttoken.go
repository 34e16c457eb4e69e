package access

import (
	"context"
	"errors"
	"fmt"
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

// users knows the users of one tenant by their own tokens.
type users struct {
	tenant   string
	verifier *Verifier
}

func newUsers(c SubjectTokens, all issuers, now func() time.Time) (*users, error) {
	if c.Tenant == "" {
		return nil, errors.New("access: tokens of users need a tenant")
	}
	verifier, err := newVerifier(VerifierConfig{Issuer: Issuer{URL: c.Issuer}, Audience: c.Audience, Claim: c.Claim, Now: now}, all)
	if err != nil {
		return nil, err
	}
	return &users{tenant: c.Tenant, verifier: verifier}, nil
}

// Subject returns the subject that a user's own token names, for a caller of that
// tenant. The error is ErrSubjectToken or ErrUnavailable. It may wait for the issuer.
func (p *Policy) Subject(ctx context.Context, tenant string, token secret.String) (string, error) {
	if p.users == nil {
		return "", fmt.Errorf("%w: the configuration has no subject_tokens", ErrSubjectToken)
	}
	if p.users.tenant != tenant {
		return "", fmt.Errorf("%w of tenant %q: the users are those of tenant %q", ErrSubjectToken, tenant, p.users.tenant)
	}
	user, err := p.users.verifier.Verify(ctx, token)
	if err != nil {
		return "", err
	}
	return user.Subject, nil
}
