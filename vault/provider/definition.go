package provider

import (
	"regexp"
	"time"
)

// ClientAuth is how the client authenticates at the token endpoint (RFC 6749,
// section 2.3.1). It is never guessed: guessing sends a code twice.
type ClientAuth string

// The ways to authenticate.
const (
	ClientAuthBasic ClientAuth = "basic" // HTTP basic authentication
	ClientAuthPost  ClientAuth = "post"  // client_id and client_secret in the body
	ClientAuthNone  ClientAuth = "none"  // a public client: client_id alone

	// ClientAuthPrivateKeyJWT is a JWT signed with the client's key (RFC 7523).
	ClientAuthPrivateKeyJWT ClientAuth = "private_key_jwt"
)

// Grant is a way in which a connection can be made.
type Grant string

// The grants.
const (
	GrantAuthorizationCode Grant = "authorization_code" // RFC 6749, section 4.1
	GrantDeviceCode        Grant = "device_code"        // RFC 8628
	GrantClientCredentials Grant = "client_credentials" // RFC 6749, section 4.4
)

// PKCE is the code challenge method (RFC 7636).
type PKCE string

// The methods. There is no "plain": it protects from nobody who can read the
// authorization request.
const (
	PKCES256 PKCE = "S256"
	PKCENone PKCE = "none"
)

// TokenFormat is how requests to a token endpoint are written.
type TokenFormat string

// The formats.
const (
	TokenFormatForm TokenFormat = "form"
	TokenFormatJSON TokenFormat = "json"
)

// Definition is what is known of a provider: a template of the catalogue, or a
// provider of the configuration. Zero values mean: not set.
type Definition struct {
	// DisplayName is the provider's name for people. Zero: its key.
	DisplayName string `yaml:"display_name"`
	// Issuer is the authorization server's issuer identifier, compared with
	// iss in the callback (RFC 9207). Where AuthorizeURL or TokenURL is missing,
	// the issuer is asked for its metadata (OpenID Connect Discovery 1.0, RFC
	// 8414), which then fills what is left out.
	Issuer       string `yaml:"issuer"`
	AuthorizeURL string `yaml:"authorize_url"`
	TokenURL     string `yaml:"token_url"`
	// RevokeURL is the revocation endpoint (RFC 7009). Zero: there is none, unless
	// the issuer is asked and names one.
	RevokeURL string `yaml:"revoke_url"`
	// DeviceURL is the device authorization endpoint (RFC 8628). Zero: there is
	// none.
	DeviceURL  string     `yaml:"device_url"`
	ClientAuth ClientAuth `yaml:"client_auth"`
	// Grants are those by which connections may be made. Nil: a person's consent in
	// a browser alone. The others have to be wanted: with client credentials a
	// caller gets what the client itself may do.
	Grants []Grant `yaml:"grants"`
	PKCE   PKCE    `yaml:"pkce"` // zero: S256
	// Scopes are asked for when a request names none.
	Scopes []string `yaml:"scopes"`
	// BaseScopes are asked for whatever else is: what refreshing and
	// after_connect need.
	BaseScopes []string `yaml:"base_scopes"`
	// ScopeSeparator stands between scopes. Zero: a space, as in RFC 6749.
	ScopeSeparator string `yaml:"scope_separator"`
	// AuthorizeParams are added to the authorization request.
	AuthorizeParams map[string]string `yaml:"authorize_params"`
	// TokenParams are added to every request to the token endpoint.
	TokenParams map[string]string `yaml:"token_params"`
	// TokenFormat is form or json: what requests to the token endpoint are
	// written in. Zero: form, as in RFC 6749.
	TokenFormat TokenFormat `yaml:"token_format"`
	// TokenPointer is a JSON pointer to the object that holds the tokens in a
	// token response. Zero: the response itself, as in RFC 6749.
	TokenPointer string `yaml:"token_pointer"`
	// Variables differ from one connection to the next, such as the name of a
	// shop. They stand in braces in URLs: https://{shop}.myshopify.com/admin.
	Variables map[string]Variable `yaml:"variables"`
	// Refresh says how the provider treats tokens that are refreshed.
	Refresh Refresh `yaml:"refresh"`
	// AfterConnect is what to look up with a new token. Nil: nothing.
	AfterConnect *AfterConnect `yaml:"after_connect"`
	// TokenCapture is what to keep of the token response besides the tokens.
	TokenCapture map[string]Capture `yaml:"token_capture"`
	// Account says where the account is, in the after_connect document or, where
	// that does not have it, in the token response.
	Account AccountPointers `yaml:"account"`
	// APIBaseURL is where the provider's API is. Parts in braces are filled with
	// captured values and variables: https://{dc}.api.mailchimp.com/3.0.
	APIBaseURL string `yaml:"api_base_url"`
	// APIHeaders are what requests to the API carry. {access_token}, {client_id}
	// and captured values in braces are filled in; a header whose value is not
	// known is left out. Where one holds {access_token}, it takes the place of
	// the header Authorization; none of those goes with an API key.
	APIHeaders map[string]string `yaml:"api_headers"`
	// APIKey says how the API takes keys in place of access tokens. Nil: it does
	// not. A definition without endpoints knows API keys only.
	APIKey *APIKey `yaml:"api_key"`
	// DisconnectHint tells a person how to remove access at the provider.
	DisconnectHint string `yaml:"disconnect_hint"`
	// AllowPrivateNetwork permits addresses in private networks and on this
	// machine, and http on loopback.
	AllowPrivateNetwork bool `yaml:"allow_private_network"`
}

// Refresh is what is known of a provider's refresh tokens.
type Refresh struct {
	// Lifetime is the life of access tokens, for a provider that does not tell
	// it. Zero: a token without expires_in does not end.
	Lifetime time.Duration `yaml:"lifetime"`
	// Grace is how long a refresh token that was used can be used again, so that
	// a client whose answer got lost can ask once more. Zero: not at all, or not
	// known.
	Grace time.Duration `yaml:"grace"`
	// IdleLimit is how long a refresh token lives without being used. Zero: it
	// has no such limit.
	IdleLimit time.Duration `yaml:"idle_limit"`
}

// Variable is a part of URLs that each connection gives a value to.
type Variable struct {
	// Pattern is a regular expression that the whole value must match. In a host
	// name it decides who is sent the client's secret: there it must be anchored
	// and match nothing but characters of one label.
	Pattern string `yaml:"pattern"`
	// Default is the value for connections that give none. Zero: they have to.
	Default string `yaml:"default"`
}

// AfterConnect describes the request made with a new access token. Its answer is
// a JSON document.
type AfterConnect struct {
	// URL may have values of token_capture in braces.
	URL string `yaml:"url"`
	// Method is GET or POST. Zero: GET.
	Method string `yaml:"method"`
	// Authorization is the header's value; {access_token} stands for the
	// token. Zero: "Bearer {access_token}", or no such header where Headers hold
	// the token.
	Authorization string `yaml:"authorization"`
	// Headers are added. {access_token} and {client_id} are filled in.
	Headers map[string]string `yaml:"headers"`
	// Body is sent with POST: JSON, unless Headers has another Content-Type.
	Body    string             `yaml:"body"`
	Capture map[string]Capture `yaml:"capture"`
}

// APIKey is how an API takes keys.
type APIKey struct {
	// Pattern is a regular expression that the whole key must match; zero: any.
	// What its named groups match becomes metadata, except for a group named
	// api_key: that is the key proper, where people also have to say something
	// else, such as the name of their account.
	Pattern string `yaml:"pattern"`
	// Header is the name of the header that carries the key. Zero: Authorization.
	Header string `yaml:"header"`
	// Authorization is the header's value; {api_key} stands for the key. Zero:
	// "Bearer {api_key}", or the key alone in another header than Authorization.
	Authorization string `yaml:"authorization"`
	// Basic is a user name and password, with a colon between them, for HTTP
	// basic authentication in place of Authorization: "{api_key}:", say.
	Basic string `yaml:"basic"`
}

// Capture is a value to keep as metadata under the name it has in the map.
type Capture struct {
	Pointer  string `yaml:"pointer"` // JSON pointer (RFC 6901)
	Pattern  string `yaml:"pattern"` // regular expression that the whole value must match; zero: any
	Required bool   `yaml:"required"`
}

// AccountPointers are JSON pointers (RFC 6901).
type AccountPointers struct {
	ID    string `yaml:"id"`
	Name  string `yaml:"name"`
	Email string `yaml:"email"`
}

// HasOAuth reports whether the definition has endpoints. One that has not knows
// API keys only.
func (d Definition) HasOAuth() bool {
	return d.Issuer != "" || d.AuthorizeURL != "" || d.TokenURL != ""
}

// ValidName reports whether a provider may have that name:
// [a-z0-9][a-z0-9-]{0,62}.
func ValidName(name string) bool { return namePattern.MatchString(name) }

var namePattern = regexp.MustCompile(`\A[a-z0-9][a-z0-9-]{0,62}\z`)
