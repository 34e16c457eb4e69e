package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/oauth2"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// Config is what a Provider is made of.
type Config struct {
	// Name is the provider's key in requests and in the configuration.
	Name       string
	Definition Definition
	ClientID   string
	// ClientSecret is empty with ClientAuthNone and ClientAuthPrivateKeyJWT only.
	ClientSecret secret.String
	// ClientKey is the client's private key in PEM, with ClientAuthPrivateKeyJWT
	// only: RSA, P-256, P-384, P-521 or Ed25519.
	ClientKey secret.String
	// ClientKeyID names the key to the provider (kid). May be empty.
	ClientKeyID string
	// RedirectURL is the redirect URI, as registered at the provider.
	RedirectURL string
	// Transport carries the requests to the provider. Nil: one that goes straight
	// there and refuses addresses that are not public, unless the definition
	// allows them. A test puts its own here.
	Transport http.RoundTripper
}

// Provider is an authorization server and our client there. It is immutable and
// safe for concurrent use.
type Provider struct {
	config     Config     // as it was given
	definition Definition // with its variables filled in
	params     map[string]string
	unbound    bool // variables have no values yet: only With is of use

	baseURL    template
	patterns   map[string]*regexp.Regexp // of captures that have one
	variables  map[string]*regexp.Regexp
	keyPattern *regexp.Regexp // nil: any key

	tokens *http.Client // for the token endpoint
	plain  *http.Client // for everything else

	discovery  *discoverer
	assertions *assertions // nil: the client has no key
}

// New returns the Provider of a configuration, or an error that says what is
// wrong with it. Where the definition has variables without a default, the
// Provider is of no use before [Provider.With] has given them values.
func New(c Config) (*Provider, error) {
	if !ValidName(c.Name) {
		return nil, fmt.Errorf("provider: %q is not a name for a provider", c.Name)
	}
	if problems := c.Definition.Validate(); len(problems) > 0 {
		return nil, fmt.Errorf("provider: %s: %s", problems[0].Path, problems[0].Problem)
	}
	if err := c.checkClient(); err != nil {
		return nil, err
	}
	p := &Provider{config: c, definition: c.Definition, patterns: map[string]*regexp.Regexp{}, variables: map[string]*regexp.Regexp{}}
	for name, capture := range c.Definition.captures() {
		if capture.Pattern != "" {
			p.patterns[name] = matcher(capture.Pattern) // validated
		}
	}
	for name, variable := range c.Definition.Variables {
		p.variables[name] = matcher(variable.Pattern) // validated
	}
	if k := c.Definition.APIKey; k != nil && k.Pattern != "" {
		p.keyPattern = matcher(k.Pattern) // validated
	}
	if !c.ClientKey.IsZero() {
		var err error
		if p.assertions, err = newAssertions(c.ClientID, c.ClientKey, c.ClientKeyID); err != nil {
			return nil, fmt.Errorf("provider: client key %w", err)
		}
	}
	p.connect()
	bound, err := p.With(nil)
	var missing *ParamError
	if errors.As(err, &missing) {
		p.unbound = true
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	if p.baseURL, err = parseTemplate(c.Definition.APIBaseURL); err != nil {
		return nil, fmt.Errorf("provider: api_base_url %w", err)
	}
	if bound != p {
		return bound, nil
	}
	return p, nil
}

// connect makes the clients that speak to the provider.
func (p *Provider) connect() {
	d := p.config.Definition
	transport := agent{p.config.Transport}
	if transport.next == nil {
		transport.next = newTransport(newDialer(d.AllowPrivateNetwork))
	}
	p.tokens = &http.Client{
		Transport: tokenRequest{
			next:   normaliser{next: transport, pointer: d.TokenPointer, asked: d.tellings()},
			params: d.TokenParams, format: d.TokenFormat, assertions: p.assertions,
		},
		Timeout: answerTime, CheckRedirect: noRedirects,
	}
	p.plain = &http.Client{Transport: transport, Timeout: answerTime, CheckRedirect: sameSite}
	p.discovery = &discoverer{client: p.plain, allowPrivate: d.AllowPrivateNetwork, known: map[string]discovered{}}
}

// checkClient checks the id and the secret. Both may be left out together where
// the provider takes API keys: then it is used with those alone.
func (c Config) checkClient() error {
	d := c.Definition
	if c.ClientID == "" && c.ClientSecret.IsZero() && c.ClientKey.IsZero() && d.APIKey != nil {
		return nil
	}
	if !d.HasOAuth() {
		return errors.New("provider: knows API keys only, and needs neither client id nor client secret")
	}
	withKey := d.ClientAuth == ClientAuthPrivateKeyJWT || d.ClientAuth == "" && !c.ClientKey.IsZero()
	switch {
	case c.ClientID == "":
		return errors.New("provider: needs a client id")
	case c.ClientKey.IsZero() == withKey:
		return errors.New("provider: a client key and client_auth private_key_jwt go together")
	case c.ClientSecret.IsZero() != (withKey || d.ClientAuth == ClientAuthNone):
		return errors.New("provider: needs a client secret, unless client_auth is none or private_key_jwt")
	}
	return nil
}

// WithSecret returns the provider with another client secret. It shares all else
// with p.
func (p *Provider) WithSecret(clientSecret secret.String) *Provider {
	other := *p
	other.config.ClientSecret = clientSecret
	return &other
}

// ClientSecret returns the client secret. It is empty where there is none.
func (p *Provider) ClientSecret() secret.String { return p.config.ClientSecret }

// RedirectURL returns the redirect URI, as it is to be registered.
func (p *Provider) RedirectURL() string { return p.config.RedirectURL }

// Grants reports whether connections may be made by that grant.
func (p *Provider) Grants(grant Grant) bool {
	return p.HasOAuth() && slices.Contains(p.definition.GrantTypes(), string(grant))
}

// Params returns the values of the provider's variables. It must not be changed.
func (p *Provider) Params() map[string]string { return p.params }

// MayRevoke reports whether the provider may have a revocation endpoint. Where an
// issuer has to be asked first, it may.
func (p *Provider) MayRevoke() bool {
	return p.HasOAuth() && (p.definition.RevokeURL != "" || p.definition.Discovers())
}

// Name returns the provider's key.
func (p *Provider) Name() string { return p.config.Name }

// DisplayName returns the provider's name for people.
func (p *Provider) DisplayName() string {
	if p.definition.DisplayName != "" {
		return p.definition.DisplayName
	}
	return p.config.Name
}

// Definition returns what the provider is made of. It must not be changed.
func (p *Provider) Definition() Definition { return p.definition }

// HasOAuth reports whether people can connect accounts: the definition has
// endpoints, and the vault a client there.
func (p *Provider) HasOAuth() bool { return p.definition.HasOAuth() && p.config.ClientID != "" }

// HasCapture reports whether there is something to know of a connection besides
// its tokens: [Provider.Capture] tells it.
func (p *Provider) HasCapture() bool {
	d := p.definition
	return d.AfterConnect != nil || len(d.TokenCapture) > 0 || len(d.Variables) > 0 || d.Account != AccountPointers{}
}

// usesPKCE reports whether the flow has a code challenge.
func (p *Provider) usesPKCE() bool { return p.definition.PKCE != PKCENone }

// NewVerifier returns a code verifier (RFC 7636, section 4.1).
func NewVerifier() secret.String { return secret.New(oauth2.GenerateVerifier()) }

// AuthorizationRequest is what differs from one authorization request to the
// next.
type AuthorizationRequest struct {
	State    string
	Verifier secret.String
	// Scopes to ask for. Empty: those of the definition.
	Scopes []string
	// LoginHint is passed on. May be empty.
	LoginHint string
}

// Authorize returns where a browser goes to ask the person for consent (RFC
// 6749, section 4.1.1). It fails where the provider's endpoints cannot be had.
func (p *Provider) Authorize(ctx context.Context, r AuthorizationRequest) (string, error) {
	e, err := p.Endpoints(ctx)
	if err != nil {
		return "", err
	}
	if e.AuthorizeURL == "" {
		return "", &Error{Kind: Misconfigured, Op: "authorization request", Err: ErrNotSupported}
	}
	return p.oauth(e).AuthCodeURL(r.State, p.authorizeOptions(r)...), nil
}

func (p *Provider) authorizeOptions(r AuthorizationRequest) []oauth2.AuthCodeOption {
	var options []oauth2.AuthCodeOption
	for name, value := range p.definition.AuthorizeParams {
		options = append(options, oauth2.SetAuthURLParam(name, value))
	}
	if wanted := p.scopeText(p.ScopesFor(r.Scopes)); wanted != "" {
		options = append(options, oauth2.SetAuthURLParam("scope", wanted))
	}
	if r.LoginHint != "" {
		options = append(options, oauth2.SetAuthURLParam("login_hint", r.LoginHint))
	}
	if p.usesPKCE() {
		options = append(options, oauth2.S256ChallengeOption(r.Verifier.Reveal()))
	}
	return options
}

// scopeText writes scopes as the provider reads them.
func (p *Provider) scopeText(scopes []string) string {
	separator := p.definition.ScopeSeparator
	if separator == "" {
		separator = " "
	}
	return strings.Join(scopes, separator)
}

// ScopesFor returns what a request asks for that names those scopes: them, or
// where it names none, those of the definition, and those asked for in any case.
func (p *Provider) ScopesFor(named []string) []string {
	wanted := named
	if len(wanted) == 0 {
		wanted = p.definition.Scopes
	}
	for _, scope := range p.definition.BaseScopes {
		if !slices.Contains(wanted, scope) {
			wanted = append(slices.Clip(wanted), scope)
		}
	}
	return wanted
}

// APIBaseURL returns where the provider's API is for a connection with that
// metadata. Empty: the definition has none.
func (p *Provider) APIBaseURL(metadata map[string]string) (string, error) {
	if p.unbound {
		return "", errors.New("provider: the connection has no values for the variables of api_base_url")
	}
	for _, name := range p.baseURL.names {
		pattern := p.patterns[name]
		if pattern == nil {
			pattern = hostName // a part of an API key
		}
		if !pattern.MatchString(metadata[name]) {
			return "", fmt.Errorf("provider: metadata %s is not what api_base_url needs", name)
		}
	}
	return p.baseURL.fill(func(name string) string { return metadata[name] }), nil
}

var hostName = regexp.MustCompile(`\A[A-Za-z0-9.-]+\z`)
