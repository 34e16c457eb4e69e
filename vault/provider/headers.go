package provider

import "github.com/tokenvault/tokenvault/vault/secret"

// Headers returns what a request to the provider's API carries with that access
// token, for a connection with that metadata.
func (p *Provider) Headers(accessToken secret.String, tokenType string, metadata map[string]string) map[string]string {
	headers := map[string]string{}
	carried := false
	for name, text := range p.definition.APIHeaders {
		value, known := fillKnown(text, p.headerValues(accessToken, metadata))
		if known {
			headers[name] = value
			carried = carried || holds(text, "access_token")
		}
	}
	if !carried {
		headers["Authorization"] = tokenType + " " + accessToken.Reveal()
	}
	return headers
}

// headerValues looks up what stands in braces in headers. Without a token,
// {access_token} is not known.
func (p *Provider) headerValues(accessToken secret.String, metadata map[string]string) func(name string) (string, bool) {
	return func(name string) (string, bool) {
		switch name {
		case "access_token":
			return accessToken.Reveal(), !accessToken.IsZero()
		case "client_id":
			return p.config.ClientID, p.config.ClientID != ""
		}
		value, ok := metadata[name]
		return value, ok
	}
}
