package provider

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// FieldError says what is wrong with a field of a definition.
type FieldError struct {
	Path    string // such as after_connect.capture.dc.pattern
	Problem string // what is wrong and what to write
}

// MaxScopes is how many scopes a definition has, or a request asks for, at most.
const MaxScopes = 100

// maxMetadata is how many values a definition captures at most.
const maxMetadata = 32

// checker gathers problems.
type checker struct {
	d        Definition
	problems []FieldError
}

func (c *checker) fail(path, format string, args ...any) {
	c.problems = append(c.problems, FieldError{Path: path, Problem: fmt.Sprintf(format, args...)})
}

// Validate returns what is wrong with a definition that a provider is to be made
// of. None: nothing.
func (d Definition) Validate() []FieldError {
	c := &checker{d: d}
	c.variables()
	if d.HasOAuth() || d.APIKey == nil {
		c.oauth()
	} else {
		c.keysOnly()
	}
	c.captures()
	c.afterConnect()
	c.apiKey()
	c.headers("api_headers", d.APIHeaders, c.headerNames())
	c.url("api_base_url", d.APIBaseURL, false)
	return c.problems
}

// oauth checks what the authorization server is sent.
func (c *checker) oauth() {
	d := c.d
	c.url("authorize_url", d.AuthorizeURL, !d.Discovers() && (d.Grants == nil || slices.Contains(d.Grants, GrantAuthorizationCode)))
	c.url("token_url", d.TokenURL, !d.Discovers())
	c.url("revoke_url", d.RevokeURL, false)
	c.url("device_url", d.DeviceURL, false)
	c.url("issuer", d.Issuer, false)
	switch d.ClientAuth {
	case ClientAuthBasic, ClientAuthPost, ClientAuthNone, ClientAuthPrivateKeyJWT:
	default:
		if d.ClientAuth == "" && d.Discovers() {
			break // from the metadata
		}
		c.fail("client_auth", "write basic (HTTP basic authentication), post (id and secret in the body), private_key_jwt (a key of the client) or none (public client), as the provider's documentation says")
	}
	switch d.TokenFormat {
	case "", TokenFormatForm, TokenFormatJSON:
	default:
		c.fail("token_format", "write form, or json for a token endpoint that takes JSON only")
	}
	c.pointer("token_pointer", d.TokenPointer, false)
	c.grants()
	switch d.PKCE {
	case "", PKCES256, PKCENone:
	default:
		c.fail("pkce", "write S256, or none for a provider that does not take a code challenge")
	}
	if d.ClientAuth == ClientAuthNone && d.PKCE == PKCENone {
		c.fail("pkce", "must be S256 with client_auth: none, since nothing else protects the code")
	}
	c.scopes("scopes", d.Scopes)
	c.scopes("base_scopes", d.BaseScopes)
	c.params("authorize_params", d.AuthorizeParams, reserved())
	c.params("token_params", d.TokenParams, reservedAtTokenEndpoint())
	c.refresh()
}

// keysOnly checks that a provider without endpoints says nothing that only OAuth
// has a use for.
func (c *checker) keysOnly() {
	d := c.d
	for _, field := range []struct {
		name string
		set  bool
	}{
		{"revoke_url", d.RevokeURL != ""},
		{"device_url", d.DeviceURL != ""},
		{"client_auth", d.ClientAuth != ""},
		{"pkce", d.PKCE != ""},
		{"scopes", d.Scopes != nil},
		{"base_scopes", d.BaseScopes != nil},
		{"scope_separator", d.ScopeSeparator != ""},
		{"authorize_params", d.AuthorizeParams != nil},
		{"token_params", d.TokenParams != nil},
		{"token_format", d.TokenFormat != ""},
		{"token_pointer", d.TokenPointer != ""},
		{"refresh", d.Refresh != Refresh{}},
		{"after_connect", d.AfterConnect != nil},
		{"token_capture", d.TokenCapture != nil},
		{"account", d.Account != AccountPointers{}},
	} {
		if field.set {
			c.fail(field.name, "is of no use without authorize_url and token_url; add those, or take it out")
		}
	}
}

// grants checks that the grants are ones that there are, and can be had.
func (c *checker) grants() {
	for i, grant := range c.d.Grants {
		path := fmt.Sprintf("grants.%d", i)
		switch grant {
		case GrantAuthorizationCode:
		case GrantDeviceCode:
			if c.d.DeviceURL == "" && !c.d.Discovers() {
				c.fail(path, "needs device_url, or an issuer to ask for it")
			}
		case GrantClientCredentials:
			if c.d.ClientAuth == ClientAuthNone {
				c.fail(path, "is not for a public client: set client_auth")
			}
		default:
			c.fail(path, "write authorization_code, device_code or client_credentials")
		}
	}
}

// refresh checks that the times make sense.
func (c *checker) refresh() {
	for _, field := range []struct {
		name  string
		value time.Duration
		least time.Duration
	}{
		{"lifetime", c.d.Refresh.Lifetime, time.Minute},
		{"grace", c.d.Refresh.Grace, time.Second},
		{"idle_limit", c.d.Refresh.IdleLimit, time.Hour},
	} {
		if field.value != 0 && field.value < field.least {
			c.fail("refresh."+field.name, "must be a duration of at least %v: write it with its unit, such as 30s, 10m, 8h or 90d", field.least)
		}
	}
}

func (c *checker) scopes(path string, scopes []string) {
	if len(scopes) > MaxScopes {
		c.fail(path, "at most %d", MaxScopes)
	}
	for _, scope := range scopes {
		if !ValidScope(scope) {
			c.fail(path, "each is printable ASCII without spaces, quotes and backslashes; write a list, [one, two]")
			return
		}
	}
}

// scopeToken is RFC 6749, section 3.3.
var scopeToken = regexp.MustCompile(`\A[\x21\x23-\x5B\x5D-\x7E]{1,256}\z`)

// ValidScope reports whether a text is one scope (RFC 6749, section 3.3), of 1 to
// 256 bytes.
func ValidScope(scope string) bool { return scopeToken.MatchString(scope) }

// reserved are the parameters that the vault sets itself.
func reserved() []string {
	return []string{
		"client_id", "client_secret", "redirect_uri", "response_type", "response_mode", "state", "scope",
		"code_challenge", "code_challenge_method", "login_hint", "request", "request_uri",
	}
}

// reservedAtTokenEndpoint are those of the token endpoint.
func reservedAtTokenEndpoint() []string {
	return []string{
		"client_id", "client_secret", "client_assertion", "client_assertion_type", "redirect_uri", "grant_type", "code",
		"code_verifier", "refresh_token", "device_code", "scope",
	}
}

func (c *checker) params(path string, params map[string]string, reserved []string) {
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if slices.Contains(reserved, strings.ToLower(name)) {
			c.fail(path+"."+name, "is set by the vault itself; take it out")
		}
	}
}
