package provider

import (
	"encoding/base64"
	"fmt"
	"maps"
	"strings"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// keyGroup is the group of an API key's pattern that is the key proper.
const keyGroup = "api_key"

// HasAPIKey reports whether the provider's API takes API keys.
func (p *Provider) HasAPIKey() bool { return p.definition.APIKey != nil }

// APIKeyError says what is wrong with an API key. It does not repeat the key.
type APIKeyError struct {
	Problem string // what is wrong and what to give
}

// Error implements error.
func (e *APIKeyError) Error() string { return "provider: " + e.Problem }

// APIKeyMetadata checks an API key's form and returns what it tells, such as a
// data centre. The error is an [*APIKeyError], or ErrNotSupported where the
// definition knows no API keys.
func (p *Provider) APIKeyMetadata(key secret.String) (map[string]string, error) {
	if !p.HasAPIKey() {
		return nil, ErrNotSupported
	}
	_, metadata, err := p.takeApart(key)
	return metadata, err
}

// APIKeyHeaders returns what a request to the provider's API carries with that
// key. Its errors are those of APIKeyMetadata.
func (p *Provider) APIKeyHeaders(key secret.String) (map[string]string, error) {
	if !p.HasAPIKey() {
		return nil, ErrNotSupported
	}
	proper, metadata, err := p.takeApart(key)
	if err != nil {
		return nil, err
	}
	headers := map[string]string{}
	for name, text := range p.definition.APIHeaders {
		if value, known := fillKnown(text, p.headerValues(secret.String{}, metadata)); known {
			headers[name] = value
		}
	}
	values := func(name string) (string, bool) {
		if name == keyGroup {
			return proper, true
		}
		value, ok := metadata[name]
		return value, ok
	}
	k := p.definition.APIKey
	name := k.Header
	if name == "" {
		name = "Authorization"
	}
	if k.Basic != "" {
		credentials, _ := fillKnown(k.Basic, values)
		headers[name] = "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
		return headers, nil
	}
	headers[name], _ = fillKnown(k.authorization(), values)
	return headers, nil
}

func (k *APIKey) authorization() string {
	switch {
	case k.Authorization != "":
		return k.Authorization
	case k.Header == "" || strings.EqualFold(k.Header, "Authorization"):
		return "Bearer {api_key}"
	default:
		return "{api_key}"
	}
}

// takeApart returns the key proper and what else there is in a key.
func (p *Provider) takeApart(key secret.String) (proper string, metadata map[string]string, err error) {
	text := key.Reveal()
	if text == "" || len(text) > maxToken || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", nil, &APIKeyError{Problem: "an API key has 1 to 16384 printable ASCII characters, without spaces"}
	}
	metadata = maps.Clone(p.params)
	if metadata == nil {
		metadata = map[string]string{}
	}
	if p.keyPattern == nil {
		return text, metadata, nil
	}
	groups := p.keyPattern.FindStringSubmatch(text)
	if groups == nil {
		return "", nil, &APIKeyError{Problem: fmt.Sprintf("the API key does not have the form of those of %s: it must match %s", p.DisplayName(), p.definition.APIKey.Pattern)}
	}
	proper = text
	for i, name := range p.keyPattern.SubexpNames() {
		switch {
		case name == keyGroup:
			proper = groups[i]
		case name != "" && groups[i] != "":
			metadata[name] = groups[i]
		}
	}
	return proper, metadata, nil
}
