package vault

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tokenvault/tokenvault/vault/provider"
)

// redeemError says what a person can do about a code that was not redeemed.
func redeemError(p *provider.Provider, err error) error {
	switch provider.KindOf(err) {
	case provider.Misconfigured:
		return misconfigured(p, err)
	case provider.Transient:
		return &Error{
			Reason:  ProviderUnavailable,
			Message: fmt.Sprintf("%s did not answer as it should. Nothing was changed. Try again in a few minutes.", p.DisplayName()),
			Err:     err,
		}
	default:
		return &Error{
			Reason:  AuthorizationFailed,
			Message: fmt.Sprintf("%s did not accept the authorization. Nothing was changed. Try again.", p.DisplayName()),
			Err:     err,
		}
	}
}

func errNotConnected(cause error) *Error {
	return &Error{
		Reason:  NotConnected,
		Message: "There is no such connection. Call Connect and have the person open the link.",
		Err:     cause,
	}
}

// connectAgain ends the problem of a connection that only its person can mend.
const connectAgain = " Connect it again."

func errReauthorize(p *provider.Provider, problem string, cause error) *Error {
	if problem == "" {
		problem = fmt.Sprintf("The token of %s has ended and cannot be refreshed.", p.DisplayName())
	}
	return &Error{
		Reason:  ReauthorizationRequired,
		Message: strings.TrimSuffix(problem, connectAgain) + " Call Connect and have the person open the link.",
		Err:     cause,
	}
}

func misconfigured(p *provider.Provider, cause error) *Error {
	return &Error{
		Reason: ProviderMisconfigured,
		Message: fmt.Sprintf("%s does not accept this vault as its client. The operator has to check client_id, client_secret and client_auth of provider %q; connections stay as they are.",
			p.DisplayName(), p.Name()),
		Err: cause,
	}
}

func unavailable(p *provider.Provider, cause error) *Error {
	return &Error{
		Reason:     ProviderUnavailable,
		Message:    fmt.Sprintf("%s is not answering as it should, and there is no token that still works. Try again.", p.DisplayName()),
		RetryAfter: max(provider.RetryAfter(cause), retryAfter),
		Err:        cause,
	}
}

// refusedByBreaker words the refusal of a breaker by what has closed it.
func refusedByBreaker(p *provider.Provider, err error) error {
	var broken *errBroken
	if !errors.As(err, &broken) {
		return unavailable(p, fmt.Errorf("waiting for a place among the refreshes under way: %w", err))
	}
	if provider.KindOf(broken.cause) == provider.Misconfigured {
		return misconfigured(p, broken)
	}
	told := unavailable(p, broken)
	told.RetryAfter = broken.retryAfter
	return told
}

// grantError says why a grant that asks the provider at once has come to nothing.
func grantError(p *provider.Provider, err error) error {
	code := provider.CodeOf(err)
	if errors.Is(err, provider.ErrNotSupported) || code == "unauthorized_client" || code == "unsupported_grant_type" {
		return &Error{
			Reason:  GrantNotSupported,
			Message: fmt.Sprintf("%s does not know this grant, or not for this vault's client. Connect in another way, or ask the operator.", p.DisplayName()),
			Err:     err,
		}
	}
	if provider.KindOf(err) == provider.Misconfigured {
		return misconfigured(p, err)
	}
	told := unavailable(p, err)
	told.Message = fmt.Sprintf("%s did not answer as it should. Nothing was changed. Try again in a few minutes.", p.DisplayName())
	return told
}

// doesNotFit says that what is stored and the definition no longer belong
// together.
func doesNotFit(p *provider.Provider, cause error) *Error {
	return &Error{
		Reason:  ProviderMisconfigured,
		Message: fmt.Sprintf("What is known of this account does not fit the definition of provider %q. The operator has to look at api_base_url, after_connect and api_key; the connection stays as it is.", p.Name()),
		Err:     cause,
	}
}
