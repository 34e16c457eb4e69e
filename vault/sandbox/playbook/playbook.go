package playbook

import (
	"encoding/base64"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/sandbox"
)

// Part is a provider to play, and what a connection has to say to it.
type Part struct {
	Script sandbox.Script
	// Params are values for the definition's variables.
	Params map[string]string
	// Metadata is what a connection is to know in the end: Params, and what is
	// captured.
	Metadata map[string]string
	// APIKey is one that the API takes. Empty: it takes none.
	APIKey string
	// KeyMetadata is what APIKey tells, with Params.
	KeyMetadata map[string]string

	definition provider.Definition
}

// Cast returns the part of a definition: of an entry of the catalogue by its name,
// or of any other. clients are the apps that are registered there.
func Cast(name string, d provider.Definition, clients []sandbox.Client) (Part, error) {
	p := Part{definition: d, Params: map[string]string{}}
	for _, variable := range slices.Sorted(maps.Keys(d.Variables)) {
		value, err := sampleVariable(variable, d.Variables[variable])
		if err != nil {
			return Part{}, err
		}
		p.Params[variable] = value
	}
	if err := p.capture(); err != nil {
		return Part{}, err
	}
	if d.APIKey != nil {
		var err error
		if p.APIKey, err = sample(d.APIKey.Pattern, "key-of-"+name); err != nil {
			return Part{}, fmt.Errorf("playbook: api_key: %w", err)
		}
	}
	p.KeyMetadata = p.keyMetadata()
	p.Script = p.script(name, clients)
	return p, nil
}

// At returns the part at other URLs, below a base such as http://127.0.0.1:8090.
func (p Part) At(base string) Part {
	p.Script = p.Script.At(base)
	return p
}

// Definition is what the vault has to know of the provider to reach it where it is
// played: the entry's definition with the script's URLs.
func (p Part) Definition() provider.Definition {
	c := p.Script
	over := provider.Definition{
		Issuer: c.Issuer, AuthorizeURL: c.AuthorizeURL, TokenURL: c.TokenURL, RevokeURL: c.RevokeURL, DeviceURL: c.DeviceURL,
		AllowPrivateNetwork: true,
	}
	if c.Lookup != nil {
		over.AfterConnect = &provider.AfterConnect{URL: c.Lookup.URL}
	}
	if len(c.APIs) > 0 {
		over.APIBaseURL = c.APIs[0].URL
	}
	return p.definition.Override(over)
}

// script is the definition, seen from the other side.
func (p Part) script(name string, clients []sandbox.Client) sandbox.Script {
	d := p.definition
	c := sandbox.Script{
		Name: name, Title: d.DisplayName, Clients: clients,
		Issuer: fill(d.Issuer, p.Params), AuthorizeURL: fill(d.AuthorizeURL, p.Params), TokenURL: fill(d.TokenURL, p.Params),
		RevokeURL: fill(d.RevokeURL, p.Params), DeviceURL: fill(d.DeviceURL, p.Params),
		Auth: sandbox.Auth(d.ClientAuth), PKCE: d.PKCE != provider.PKCENone,
		ClientCredentials: slices.Contains(d.Grants, provider.GrantClientCredentials),
		AuthorizeParams:   d.AuthorizeParams, TokenParams: d.TokenParams,
		BaseScopes: d.BaseScopes, ScopeSeparator: d.ScopeSeparator,
		JSON: d.TokenFormat == provider.TokenFormatJSON, TokenPointer: d.TokenPointer, TokenDocument: p.tokenDocument(),
		TokenLifetime: d.Refresh.Lifetime, ReuseGrace: d.Refresh.Grace, RefreshTokenIdle: d.Refresh.IdleLimit,
		Lookup: p.lookup(clients), APIs: p.apis(clients),
	}
	if d.Refresh.Lifetime != 0 {
		c.Quirks = append(c.Quirks, sandbox.ExpiresInMissing) // that is why the definition has it
	}
	if m, ok := allManners()[name]; ok {
		m.teach(&c)
	}
	return c
}

func clientID(clients []sandbox.Client) string {
	if len(clients) == 0 {
		return ""
	}
	return clients[0].ID
}

func (p Part) lookup(clients []sandbox.Client) *sandbox.Lookup {
	after := p.definition.AfterConnect
	if after == nil {
		return nil
	}
	l := &sandbox.Lookup{Method: after.Method, URL: fill(after.URL, p.Metadata), Body: after.Body, Document: p.accountDocument(), Headers: map[string]string{}}
	if l.Method == "" {
		l.Method = "GET"
	}
	carried := false
	for name, text := range after.Headers {
		l.Headers[name] = strings.ReplaceAll(text, "{client_id}", clientID(clients))
		carried = carried || strings.Contains(text, "{access_token}")
	}
	switch {
	case after.Authorization != "":
		l.Headers["Authorization"] = after.Authorization
	case !carried:
		l.Headers["Authorization"] = "Bearer {access_token}"
	}
	return l
}

// apis are the API as it takes tokens, and as it takes keys.
func (p Part) apis(clients []sandbox.Client) []sandbox.PlayedAPI {
	d := p.definition
	if d.APIBaseURL == "" {
		return nil
	}
	var apis []sandbox.PlayedAPI
	if d.HasOAuth() {
		headers := knownHeaders(d.APIHeaders, p.Metadata, map[string]string{"client_id": clientID(clients), "access_token": "{access_token}"})
		if !slices.ContainsFunc(slices.Collect(maps.Values(headers)), func(text string) bool { return strings.Contains(text, "{access_token}") }) {
			headers["Authorization"] = "Bearer {access_token}"
		}
		apis = append(apis, sandbox.PlayedAPI{URL: fill(d.APIBaseURL, p.Metadata), Headers: headers})
	}
	if d.APIKey != nil {
		headers := knownHeaders(d.APIHeaders, p.KeyMetadata, map[string]string{"client_id": clientID(clients)})
		name, value := p.keyHeader()
		headers[name] = value
		apis = append(apis, sandbox.PlayedAPI{URL: fill(d.APIBaseURL, p.KeyMetadata), Headers: headers})
	}
	return apis
}

// keyHeader is the header that carries the API key.
func (p Part) keyHeader() (name, value string) {
	k, proper := p.definition.APIKey, p.keyProper()
	name = k.Header
	if name == "" {
		name = "Authorization"
	}
	values := map[string]string{"api_key": proper}
	maps.Copy(values, p.KeyMetadata)
	switch {
	case k.Basic != "":
		return name, "Basic " + base64.StdEncoding.EncodeToString([]byte(fill(k.Basic, values)))
	case k.Authorization != "":
		return name, fill(k.Authorization, values)
	case name == "Authorization":
		return name, "Bearer " + proper
	default:
		return name, proper
	}
}

// keyProper is the part of the key that the API is sent.
func (p Part) keyProper() string {
	if groups := p.keyGroups(); groups["api_key"] != "" {
		return groups["api_key"]
	}
	return p.APIKey
}

// keyMetadata is what the parts of the key tell.
func (p Part) keyMetadata() map[string]string {
	metadata := maps.Clone(p.Params)
	for name, value := range p.keyGroups() {
		if name != "api_key" {
			metadata[name] = value
		}
	}
	return metadata
}

// keyGroups are the named groups of the key's pattern in the key.
func (p Part) keyGroups() map[string]string {
	groups := map[string]string{}
	if p.APIKey == "" || p.definition.APIKey.Pattern == "" {
		return groups
	}
	pattern := regexp.MustCompile(p.definition.APIKey.Pattern) // sampled from
	for i, value := range pattern.FindStringSubmatch(p.APIKey) {
		if name := pattern.SubexpNames()[i]; name != "" && value != "" {
			groups[name] = value
		}
	}
	return groups
}

// knownHeaders are those whose values can be told.
func knownHeaders(headers map[string]string, metadata, more map[string]string) map[string]string {
	values := maps.Clone(metadata)
	maps.Copy(values, more)
	known := map[string]string{}
	for name, text := range headers {
		missing := false
		for _, place := range inBraces.FindAllString(text, -1) {
			missing = missing || values[place[1:len(place)-1]] == ""
		}
		if !missing {
			known[name] = fill(text, values)
		}
	}
	return known
}

var inBraces = regexp.MustCompile(`\{[A-Za-z0-9_]+\}`)

// fill replaces what stands in braces. What has no value stays.
func fill(text string, values map[string]string) string {
	return inBraces.ReplaceAllStringFunc(text, func(place string) string {
		if value := values[place[1:len(place)-1]]; value != "" {
			return value
		}
		return place
	})
}
