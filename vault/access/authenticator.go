package access

import (
	"context"
	"errors"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// Presented is what came with a call. The zero value is a call without a
// credential.
type Presented struct {
	// Certificate is whom the client's certificate names, which the transport has
	// verified. Nil: there was none.
	Certificate *Certificate
	// Bearer is the token of the authorization header (RFC 6750). Zero: there was
	// none.
	Bearer secret.String
}

// Errors of authenticators.
var (
	// ErrUnknown says that what was presented belongs to no caller.
	ErrUnknown = errors.New("access: unknown caller")
	// ErrUnavailable says that the issuer of a token cannot be asked for its keys
	// at the moment.
	ErrUnavailable = errors.New("access: the token's issuer cannot be asked for its keys")
)

// authenticator finds out who is calling. It is safe for concurrent use.
type authenticator interface {
	// Recall returns the caller if that can be told at once, or nil. It asks
	// nobody, and computes little.
	Recall(Presented) *Caller
	// Authenticate returns the caller, or nil. The error is nil, or says for the
	// log why there is none: ErrUnknown or ErrUnavailable.
	Authenticate(context.Context, Presented) (*Caller, error)
}

// Recall returns the caller, if that can be told without asking anybody; nil
// otherwise.
func (p *Policy) Recall(shown Presented) *Caller {
	for _, a := range p.authenticators {
		if caller := a.Recall(shown); caller != nil {
			return caller
		}
	}
	return nil
}

// Authenticate returns the caller of what was presented, ErrUnknown or
// ErrUnavailable. It may wait for the issuer of a token, as long as ctx lasts.
func (p *Policy) Authenticate(ctx context.Context, shown Presented) (*Caller, error) {
	why := ErrUnknown
	for _, a := range p.authenticators {
		caller, err := a.Authenticate(ctx, shown)
		if caller != nil {
			return caller, nil
		}
		if err != nil {
			why = err
		}
	}
	return nil, why
}
