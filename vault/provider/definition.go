package provider

import (
	"maps"
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
)

// PKCE is the code challenge method (RFC 7636).
type PKCE string

// The methods. There is no "plain": it protects from nobody who can read the
// authorization request.
const (
	PKCES256 PKCE = "S256"
	PKCENone PKCE = "none"
)

// Definition is what is known of a provider: a template of the catalogue, or a
// provider of the configuration. Zero values mean: not set.
type Definition struct {
	// DisplayName is the provider's name for people. Zero: its key.
	DisplayName string `yaml:"display_name"`
	// Issuer is the authorization server's issuer identifier, compared with
	// iss in the callback (RFC 9207).
	Issuer       string `yaml:"issuer"`
	AuthorizeURL string `yaml:"authorize_url"`
	TokenURL     string `yaml:"token_url"`
	// RevokeURL is the revocation endpoint (RFC 7009). Zero: there is none.
	RevokeURL  string     `yaml:"revoke_url"`
	ClientAuth ClientAuth `yaml:"client_auth"`
	PKCE       PKCE       `yaml:"pkce"` // zero: S256
	// Scopes are asked for when a request names none.
	Scopes []string `yaml:"scopes"`
	// ScopeSeparator stands between scopes. Zero: a space, as in RFC 6749.
	ScopeSeparator string `yaml:"scope_separator"`
	// AuthorizeParams are added to the authorization request.
	AuthorizeParams map[string]string `yaml:"authorize_params"`
	// Refresh says how the provider treats tokens that are refreshed.
	Refresh Refresh `yaml:"refresh"`
	// AfterConnect is what to look up with a new token. Nil: nothing.
	AfterConnect *AfterConnect `yaml:"after_connect"`
	// Account says where in that document the account is.
	Account AccountPointers `yaml:"account"`
	// APIBaseURL is where the provider's API is. Parts in braces are filled
	// with captured values: https://{dc}.api.mailchimp.com/3.0.
	APIBaseURL string `yaml:"api_base_url"`
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

// AfterConnect describes the request made with a new access token.
type AfterConnect struct {
	URL string `yaml:"url"`
	// Authorization is the header's value; {access_token} stands for the
	// token. Zero: "Bearer {access_token}".
	Authorization string             `yaml:"authorization"`
	Capture       map[string]Capture `yaml:"capture"`
}

// Capture is a value to keep as metadata under the name it has in the map.
type Capture struct {
	Pointer  string `yaml:"pointer"` // JSON pointer (RFC 6901)
	Pattern  string `yaml:"pattern"` // regular expression that the whole value must match; zero: any
	Required bool   `yaml:"required"`
}

// AccountPointers are JSON pointers (RFC 6901) into the after_connect document.
type AccountPointers struct {
	ID    string `yaml:"id"`
	Name  string `yaml:"name"`
	Email string `yaml:"email"`
}

// Override returns d with every field replaced that over sets. What d sets can
// be changed but not unset, except for maps and lists, where an empty one (not a
// missing one) empties.
func (d Definition) Override(over Definition) Definition {
	set(&d.DisplayName, over.DisplayName)
	set(&d.Issuer, over.Issuer)
	set(&d.AuthorizeURL, over.AuthorizeURL)
	set(&d.TokenURL, over.TokenURL)
	set(&d.RevokeURL, over.RevokeURL)
	set(&d.ClientAuth, over.ClientAuth)
	set(&d.PKCE, over.PKCE)
	set(&d.ScopeSeparator, over.ScopeSeparator)
	set(&d.APIBaseURL, over.APIBaseURL)
	set(&d.DisconnectHint, over.DisconnectHint)
	set(&d.AllowPrivateNetwork, over.AllowPrivateNetwork)
	set(&d.Refresh.Lifetime, over.Refresh.Lifetime)
	set(&d.Refresh.Grace, over.Refresh.Grace)
	set(&d.Refresh.IdleLimit, over.Refresh.IdleLimit)
	set(&d.Account.ID, over.Account.ID)
	set(&d.Account.Name, over.Account.Name)
	set(&d.Account.Email, over.Account.Email)
	if over.Scopes != nil {
		d.Scopes = over.Scopes
	}
	if over.AuthorizeParams != nil {
		d.AuthorizeParams = over.AuthorizeParams
	}
	d.AfterConnect = d.AfterConnect.override(over.AfterConnect)
	return d
}

func set[T comparable](field *T, value T) {
	var zero T
	if value != zero {
		*field = value
	}
}

// override leaves both of its operands as they are.
func (a *AfterConnect) override(over *AfterConnect) *AfterConnect {
	if a == nil || over == nil {
		if over != nil {
			return over
		}
		return a
	}
	merged := *a
	set(&merged.URL, over.URL)
	set(&merged.Authorization, over.Authorization)
	if over.Capture != nil {
		merged.Capture = maps.Clone(a.Capture)
		if merged.Capture == nil {
			merged.Capture = map[string]Capture{}
		}
		maps.Copy(merged.Capture, over.Capture)
	}
	return &merged
}

// ValidName reports whether a provider may have that name:
// [a-z0-9][a-z0-9-]{0,62}.
func ValidName(name string) bool { return namePattern.MatchString(name) }

var namePattern = regexp.MustCompile(`\A[a-z0-9][a-z0-9-]{0,62}\z`)
