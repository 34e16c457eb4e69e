package provider

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/oauth2"
)

// Endpoints are what a request needs to know of the authorization server: from
// the definition or, where that leaves it out, from the issuer's metadata.
type Endpoints struct {
	Issuer       string // may be empty
	AuthorizeURL string
	TokenURL     string
	RevokeURL    string // may be empty
	DeviceURL    string // may be empty
	ClientAuth   ClientAuth
	// TellsIssuer says that every answer of the authorization endpoint has iss
	// (RFC 9207).
	TellsIssuer bool
}

// Discovers reports whether the definition needs the issuer's metadata.
func (d Definition) Discovers() bool {
	return d.Issuer != "" && (d.AuthorizeURL == "" || d.TokenURL == "")
}

// Endpoints returns where requests go. It fails where the provider has to be
// asked and cannot be.
func (p *Provider) Endpoints(ctx context.Context) (Endpoints, error) {
	if err := p.ready(); err != nil {
		return Endpoints{}, err
	}
	if !p.definition.Discovers() {
		return p.definition.endpoints(), nil
	}
	m, err := p.discovery.lookUp(ctx, p.definition.Issuer)
	if err != nil {
		return Endpoints{}, err
	}
	return p.withMetadata(m)
}

// ready reports whether the provider can be asked for anything.
func (p *Provider) ready() error {
	switch {
	case !p.HasOAuth():
		return &Error{Kind: Misconfigured, Op: "look-up of endpoints", Err: ErrNotSupported}
	case p.unbound:
		return &Error{Kind: Misconfigured, Op: "look-up of endpoints", Err: errors.New("the connection has no values for the provider's variables")}
	}
	return nil
}

func (d Definition) endpoints() Endpoints {
	return Endpoints{
		Issuer: d.Issuer, AuthorizeURL: d.AuthorizeURL, TokenURL: d.TokenURL, RevokeURL: d.RevokeURL, DeviceURL: d.DeviceURL,
		ClientAuth: d.ClientAuth,
	}
}

// withMetadata fills what the definition leaves out.
func (p *Provider) withMetadata(m metadata) (Endpoints, error) {
	e := p.definition.endpoints()
	for _, field := range []struct {
		own  *string
		from string
	}{
		{&e.AuthorizeURL, m.AuthorizeURL},
		{&e.TokenURL, m.TokenURL},
		{&e.RevokeURL, m.RevokeURL},
		{&e.DeviceURL, m.DeviceURL},
	} {
		if *field.own == "" {
			*field.own = field.from
		}
	}
	e.TellsIssuer = m.TellsIssuer
	if e.ClientAuth == "" {
		e.ClientAuth = m.clientAuth(p.assertions != nil)
	}
	if e.ClientAuth == "" {
		return Endpoints{}, &Error{Kind: Misconfigured, Op: "discovery", Err: errors.New("the provider takes neither client secret nor key in a way that the vault knows; set client_auth")}
	}
	return e, nil
}

// clientAuth returns how a client with a secret, or one with a key,
// authenticates. Empty: in no way that is known.
func (m metadata) clientAuth(withKey bool) ClientAuth {
	switch {
	case withKey && slices.Contains(m.AuthMethods, "private_key_jwt"):
		return ClientAuthPrivateKeyJWT
	case withKey:
		return ""
	case len(m.AuthMethods) == 0, // RFC 8414, section 2: the default
		slices.Contains(m.AuthMethods, "client_secret_basic"):
		return ClientAuthBasic
	case slices.Contains(m.AuthMethods, "client_secret_post"):
		return ClientAuthPost
	default:
		return ""
	}
}

// oauth returns the x/oauth2 configuration.
func (p *Provider) oauth(e Endpoints) *oauth2.Config {
	style := oauth2.AuthStyleInParams
	if e.ClientAuth == ClientAuthBasic {
		style = oauth2.AuthStyleInHeader
	}
	return &oauth2.Config{
		ClientID:     p.config.ClientID,
		ClientSecret: p.config.ClientSecret.Reveal(),
		RedirectURL:  p.config.RedirectURL,
		Endpoint:     oauth2.Endpoint{AuthURL: e.AuthorizeURL, TokenURL: e.TokenURL, AuthStyle: style},
	}
}

// VerifyIssuer compares the iss of a callback with the provider's issuer (RFC
// 9207, section 2.4). An answer without iss passes, unless the provider's
// metadata says that there always is one: else the redirect URI, which is this
// provider's alone, has to do.
func (p *Provider) VerifyIssuer(ctx context.Context, iss string) error {
	e, err := p.Endpoints(ctx)
	if err != nil {
		return err
	}
	switch {
	case iss == "" && e.TellsIssuer:
		return errors.New("the answer lacks iss, which the provider says it always has")
	case iss == "" || e.Issuer == "" || iss == e.Issuer:
		return nil
	default:
		return errors.New("iss of the answer is not the issuer of the provider")
	}
}
