package provider

import (
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
	// ClientSecret is empty with ClientAuthNone only.
	ClientSecret secret.String
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
	name       string
	definition Definition
	clientID   string
	secret     secret.String
	redirect   string

	baseURL  urlTemplate
	patterns map[string]*regexp.Regexp // of captures that have one

	tokens *http.Client // for the token and revocation endpoints
	plain  *http.Client // for the after_connect request
}

// New returns the Provider of a configuration, or an error that says what is
// wrong with it.
func New(c Config) (*Provider, error) {
	if !ValidName(c.Name) {
		return nil, fmt.Errorf("provider: %q is not a name for a provider", c.Name)
	}
	if problems := c.Definition.Validate(); len(problems) > 0 {
		return nil, fmt.Errorf("provider: %s: %s", problems[0].Path, problems[0].Problem)
	}
	if c.ClientID == "" || c.ClientSecret.IsZero() != (c.Definition.ClientAuth == ClientAuthNone) {
		return nil, errors.New("provider: needs a client id, and a client secret unless client_auth is none")
	}
	p := &Provider{
		name:       c.Name,
		definition: c.Definition,
		clientID:   c.ClientID,
		secret:     c.ClientSecret,
		redirect:   c.RedirectURL,
		patterns:   map[string]*regexp.Regexp{},
	}
	var err error
	if p.baseURL, err = parseTemplate(c.Definition.APIBaseURL); err != nil {
		return nil, fmt.Errorf("provider: api_base_url %w", err)
	}
	if after := c.Definition.AfterConnect; after != nil {
		for name, capture := range after.Capture {
			if capture.Pattern != "" {
				p.patterns[name] = regexp.MustCompile(`\A(?:` + capture.Pattern + `)\z`) // validated
			}
		}
	}
	transport := agent{c.Transport}
	if c.Transport == nil {
		transport.next = newTransport(c.Definition.AllowPrivateNetwork)
	}
	p.tokens = &http.Client{Transport: normaliser{transport}, Timeout: answerTime, CheckRedirect: noRedirects}
	p.plain = &http.Client{Transport: transport, Timeout: answerTime, CheckRedirect: sameSite}
	return p, nil
}

// Name returns the provider's key.
func (p *Provider) Name() string { return p.name }

// DisplayName returns the provider's name for people.
func (p *Provider) DisplayName() string {
	if p.definition.DisplayName != "" {
		return p.definition.DisplayName
	}
	return p.name
}

// Definition returns what the provider is made of. It must not be changed.
func (p *Provider) Definition() Definition { return p.definition }

// HasCapture reports whether there is something to look up with a new token.
func (p *Provider) HasCapture() bool { return p.definition.AfterConnect != nil }

// config returns the x/oauth2 configuration.
func (p *Provider) config() *oauth2.Config {
	style := oauth2.AuthStyleInParams
	if p.definition.ClientAuth == ClientAuthBasic {
		style = oauth2.AuthStyleInHeader
	}
	return &oauth2.Config{
		ClientID:     p.clientID,
		ClientSecret: p.secret.Reveal(),
		RedirectURL:  p.redirect,
		Endpoint: oauth2.Endpoint{
			AuthURL:   p.definition.AuthorizeURL,
			TokenURL:  p.definition.TokenURL,
			AuthStyle: style,
		},
	}
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

// AuthorizationURL returns where a browser goes to ask the person for consent
// (RFC 6749, section 4.1.1).
func (p *Provider) AuthorizationURL(r AuthorizationRequest) string {
	wanted := p.ScopesFor(r.Scopes)
	var options []oauth2.AuthCodeOption
	for name, value := range p.definition.AuthorizeParams {
		options = append(options, oauth2.SetAuthURLParam(name, value))
	}
	if len(wanted) > 0 {
		separator := p.definition.ScopeSeparator
		if separator == "" {
			separator = " "
		}
		options = append(options, oauth2.SetAuthURLParam("scope", strings.Join(slices.Clone(wanted), separator)))
	}
	if r.LoginHint != "" {
		options = append(options, oauth2.SetAuthURLParam("login_hint", r.LoginHint))
	}
	if p.usesPKCE() {
		options = append(options, oauth2.S256ChallengeOption(r.Verifier.Reveal()))
	}
	return p.config().AuthCodeURL(r.State, options...)
}

// ScopesFor returns what a request asks for that names those scopes: them, or
// where it names none, those of the definition.
func (p *Provider) ScopesFor(named []string) []string {
	if len(named) > 0 {
		return named
	}
	return p.definition.Scopes
}

// CheckIssuer compares the iss of a callback with the definition's issuer (RFC
// 9207, section 2.4). An answer without iss passes: the redirect URI, which is
// this provider's alone, has to do.
func (p *Provider) CheckIssuer(iss string) error {
	if iss == "" || p.definition.Issuer == "" || iss == p.definition.Issuer {
		return nil
	}
	return errors.New("iss of the answer is not the issuer of the provider")
}

// APIBaseURL returns where the provider's API is for a connection with that
// metadata. Empty: the definition has none.
func (p *Provider) APIBaseURL(metadata map[string]string) (string, error) {
	for _, name := range p.baseURL.names {
		if !p.patterns[name].MatchString(metadata[name]) {
			return "", fmt.Errorf("provider: metadata %s is not what api_base_url needs", name)
		}
	}
	return p.baseURL.fill(func(name string) string { return metadata[name] }), nil
}
