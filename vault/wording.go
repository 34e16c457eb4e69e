package vault

import (
	"fmt"

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
