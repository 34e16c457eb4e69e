package sandbox

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Script is a provider to play: what it documents, and how it behaves. It is
// played to the letter: a request that differs from what the script says is
// refused, also where the real provider might let it pass.
//
// URLs are the provider's own, such as https://login.mailchimp.com/oauth2/token:
// Transport leads them to the sandbox. At moves a script to where the sandbox has
// a socket.
type Script struct {
	// Name tells scripts apart: [a-z0-9][a-z0-9-]*.
	Name string
	// Title is the provider's name for people. Empty: Name.
	Title string

	// Issuer is sent as iss (RFC 9207), and has the discovery documents of OpenID
	// Connect Discovery 1.0 and RFC 8414. Empty: neither.
	Issuer                 string
	AuthorizeURL, TokenURL string
	RevokeURL              string // empty: there is none
	DeviceURL              string // empty: there is none

	// Clients are the apps registered here. Nil: those of the Config.
	Clients []Client
	// Auth is the one way in which clients authenticate. Empty: as each is
	// registered.
	Auth Auth
	// PKCE: a code challenge (S256) is asked for. Without it, one is refused.
	PKCE bool
	// ClientCredentials: clients get tokens for themselves (RFC 6749, section
	// 4.4).
	ClientCredentials bool
	// AuthorizeParams and TokenParams have to be in requests.
	AuthorizeParams, TokenParams map[string]string
	// BaseScopes have to be among the scopes that are asked for.
	BaseScopes []string
	// ScopeSeparator stands between scopes. Empty: a space.
	ScopeSeparator string
	// JSON: requests to the token endpoint are JSON, and not forms.
	JSON bool

	// TokenType is what tokens come with. Empty: Bearer.
	TokenType string
	// TokenPointer is a JSON pointer to where the tokens are in an answer. Empty:
	// the answer itself.
	TokenPointer string
	// TokenDocument is what is in the answer besides the tokens. See Lookup for
	// what may be in it.
	TokenDocument any
	// TokenLifetime is the life of access tokens. 0: that of the Config.
	TokenLifetime time.Duration
	// Endless: access tokens do not end, and come with expires_in 0.
	Endless bool
	// NoRefresh: there are no refresh tokens.
	NoRefresh bool
	// Rotation, ReuseGrace and RefreshTokenIdle are those of Config. Zero: as
	// there.
	Rotation         Rotation
	ReuseGrace       time.Duration
	RefreshTokenIdle time.Duration
	// Quirks of the token endpoint, besides those of the Config.
	Quirks []Quirk

	// Lookup tells whose a token is. Nil: nothing does.
	Lookup *Lookup
	// APIs are what tokens and keys are for.
	APIs []PlayedAPI
}

// Lookup is a request that is answered with a document for an access token.
type Lookup struct {
	Method, URL string
	// Headers have to be there, with {access_token} for the token.
	Headers map[string]string
	Body    string
	// Document is JSON: maps, lists and texts. The texts {account.id},
	// {account.name} and {account.email} stand for those of the account.
	Document any
}

// PlayedAPI is an API: everything at and below a URL. It tells whose the token
// is.
type PlayedAPI struct {
	URL string
	// Headers have to be there, with {access_token} for the token. An API that
	// takes a key has it in there.
	Headers map[string]string
}

var scriptName = regexp.MustCompile(`\A[a-z0-9][a-z0-9-]*\z`)

// At returns the script at other URLs, below a base such as
// http://127.0.0.1:8090: for a sandbox with a socket.
func (c Script) At(base string) Script {
	at := strings.TrimSuffix(base, "/") + "/" + c.Name
	for _, field := range []struct {
		address *string
		path    string
	}{
		{&c.Issuer, ""}, {&c.AuthorizeURL, "/authorize"}, {&c.TokenURL, "/token"}, {&c.RevokeURL, "/revoke"}, {&c.DeviceURL, "/device"},
	} {
		if *field.address != "" {
			*field.address = at + field.path
		}
	}
	if c.Lookup != nil {
		moved := *c.Lookup
		moved.URL = at + "/account"
		c.Lookup = &moved
	}
	c.APIs = slices.Clone(c.APIs)
	for i := range c.APIs {
		c.APIs[i].URL = at + "/api"
	}
	return c
}

// title is the name for people.
func (c Script) title() string {
	if c.Title != "" {
		return c.Title
	}
	return c.Name
}

// refreshes reports whether there are refresh tokens.
func (c Script) refreshes() bool { return !c.NoRefresh }

func (c Script) check() error {
	if !scriptName.MatchString(c.Name) {
		return fmt.Errorf("%q is not a name for a script", c.Name)
	}
	if err := checkQuirks(c.Quirks); err != nil {
		return fmt.Errorf("script %s: %w", c.Name, err)
	}
	addresses := []string{c.Issuer, c.AuthorizeURL, c.TokenURL, c.RevokeURL, c.DeviceURL}
	if c.Lookup != nil {
		addresses = append(addresses, c.Lookup.URL)
	}
	for _, api := range c.APIs {
		addresses = append(addresses, api.URL)
	}
	for _, address := range addresses {
		if u, err := url.Parse(address); address != "" && (err != nil || u.Host == "") {
			return fmt.Errorf("script %s: %q is not a URL", c.Name, address)
		}
	}
	if c.TokenLifetime < 0 || c.ReuseGrace < 0 || c.RefreshTokenIdle < 0 {
		return fmt.Errorf("script %s: %w", c.Name, errors.New("times are not negative"))
	}
	return nil
}
