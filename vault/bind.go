package vault

import (
	"errors"
	"fmt"

	"github.com/tokenvault/tokenvault/vault/provider"
)

// Some providers have variables in their URLs, such as the name of a shop. Their
// values come with Connect and stay with what came of it: a grant or an API key.

// Limits of the values of a request; a value is a part of a URL.
const (
	maxParams = 32
	maxParam  = 256 // bytes
)

// bind returns the provider with the values of a request or of what is stored. The
// error names the parameter at fault.
func bind(p *provider.Provider, params map[string]string) (*provider.Provider, error) {
	if len(params) > maxParams {
		return nil, invalid(InvalidParams, "params", "at most 32")
	}
	for name, value := range params {
		if len(name) > maxParam || len(value) > maxParam {
			return nil, invalid(InvalidParams, "params", "names and values have at most 256 bytes")
		}
	}
	bound, err := p.With(params)
	var fault *provider.ParamError
	switch {
	case errors.As(err, &fault):
		return nil, &Error{Reason: InvalidParams, Field: "params", Message: fmt.Sprintf("params: %s %s", fault.Name, fault.Problem)}
	case err != nil:
		return nil, err
	}
	return bound, nil
}

// bindStored is bind for values that were right once: where they are no more, the
// definition has changed.
func bindStored(p *provider.Provider, params map[string]string) (*provider.Provider, error) {
	bound, err := p.With(params)
	if err != nil {
		return nil, &Error{
			Reason:  ProviderMisconfigured,
			Message: fmt.Sprintf("The definition of provider %q no longer fits this connection: its variables have changed. The operator has to look at them; the connection stays as it is.", p.Name()),
			Err:     err,
		}
	}
	return bound, nil
}
