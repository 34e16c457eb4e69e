package access

import (
	"context"
	"fmt"
	"time"
)

// JWT names a caller by what its tokens say: Kubernetes' for a service account, or
// those of any OpenID Connect issuer. All three are compared exactly, and none may
// be empty.
type JWT struct {
	Issuer, Audience, Subject string
}

// jwts knows callers by the tokens that their issuers give them.
type jwts struct {
	issuers issuers
	callers map[JWT]*Caller
	known   *recent[*Caller]
}

var _ authenticator = (*jwts)(nil)

func newJWTs(all issuers, now func() time.Time) *jwts {
	return &jwts{issuers: all, callers: map[JWT]*Caller{}, known: newRecent[*Caller](now)}
}

func (j *jwts) add(rule Rule, caller *Caller) error {
	if rule.JWT == nil {
		return nil
	}
	if rule.JWT.Issuer == "" || rule.JWT.Audience == "" || rule.JWT.Subject == "" {
		return fmt.Errorf("access: the JWT of caller %q needs an issuer, an audience and a subject", rule.Name)
	}
	if j.issuers[rule.JWT.Issuer] == nil {
		return fmt.Errorf("access: the JWT of caller %q is of an issuer that is not there: %s", rule.Name, rule.JWT.Issuer)
	}
	return addCaller(j.callers, *rule.JWT, caller, "issuer, audience and subject of JWTs")
}

// Recall implements authenticator: it knows the tokens that were verified lately.
func (j *jwts) Recall(shown Presented) *Caller {
	if len(j.callers) == 0 || !looksLikeJWT(shown.Bearer) {
		return nil
	}
	caller, _ := j.known.get(shown.Bearer)
	return caller
}

// Authenticate implements authenticator.
func (j *jwts) Authenticate(ctx context.Context, shown Presented) (*Caller, error) {
	if len(j.callers) == 0 || !looksLikeJWT(shown.Bearer) {
		return nil, nil
	}
	if caller, ok := j.known.get(shown.Bearer); ok {
		return caller, nil
	}
	token, err := j.issuers.verify(ctx, shown.Bearer)
	if err != nil {
		return nil, err
	}
	caller, err := j.callerOf(token)
	if err != nil {
		return nil, err
	}
	j.known.keep(shown.Bearer, caller, token.Expiry)
	return caller, nil
}

// callerOf returns the one caller that a verified token is for.
func (j *jwts) callerOf(token *verifiedToken) (*Caller, error) {
	var found *Caller
	for _, audience := range token.Audience {
		caller := j.callers[JWT{Issuer: token.Issuer, Audience: audience, Subject: token.Subject}]
		if caller != nil && found != nil && caller != found {
			return nil, fmt.Errorf("%w: the token's audiences are those of several callers", ErrUnknown)
		}
		if caller != nil {
			found = caller
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%w: no caller has a token of issuer %q, audience %q, subject %q", ErrUnknown, token.Issuer, token.Audience, token.Subject)
	}
	return found, nil
}
