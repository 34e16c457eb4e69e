// Package login signs people in with the operator's OpenID provider (OpenID Connect
// Core 1.0, section 3.1): it is the relying party. It learns who somebody is, and
// keeps nothing: no token that the provider issues here is ever used or stored.
package login

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/tokenvault/tokenvault/vault/claims"
	"github.com/tokenvault/tokenvault/vault/issuerhttp"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// DefaultSubjectClaim is the claim that names people where the operator has chosen
// no other.
const DefaultSubjectClaim = "sub"

// Config is what a RelyingParty is made of.
type Config struct {
	// Issuer is the provider's issuer identifier, to the letter: its metadata is
	// asked for with the first sign-in, and again until it has answered once.
	Issuer string
	// ClientID and ClientSecret are this vault's registration there.
	ClientID     string
	ClientSecret secret.String
	// RedirectURL is the redirect URI that is registered.
	RedirectURL string
	// SubjectClaim is the claim of the ID token that is the subject of requests to
	// the vault. Empty: [DefaultSubjectClaim]. An email counts only if
	// email_verified is true.
	SubjectClaim string
	// Scopes are asked for. Nil: openid alone.
	Scopes []string
}

// RelyingParty signs people in. It is safe for concurrent use.
type RelyingParty struct {
	config Config
	client *http.Client
	found  atomic.Pointer[found]
}

// found is what discovery has told.
type found struct {
	oauth2   oauth2.Config
	verifier *oidc.IDTokenVerifier
}

// New returns a RelyingParty. It asks nobody anything yet.
func New(c Config) *RelyingParty {
	if c.SubjectClaim == "" {
		c.SubjectClaim = DefaultSubjectClaim
	}
	if c.Scopes == nil {
		c.Scopes = []string{oidc.ScopeOpenID}
	}
	return &RelyingParty{config: c, client: issuerhttp.NewClient(answerTime, nil)}
}

// AuthorizeURL is where a browser goes to sign in. state, nonce and verifier are
// unguessable and made for this one. With again, the provider asks who it is even
// where it knows already.
func (p *RelyingParty) AuthorizeURL(ctx context.Context, state, nonce string, verifier secret.String, again bool) (string, error) {
	f, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier.Reveal())}
	if again {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"))
	}
	return f.oauth2.AuthCodeURL(state, options...), nil
}

// Subject redeems a code and returns who has signed in: the subject claim of an ID
// token that the issuer has signed, for this client and this sign-in.
func (p *RelyingParty) Subject(ctx context.Context, code secret.String, nonce string, verifier secret.String) (string, error) {
	f, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	ctx = oidc.ClientContext(ctx, p.client)
	token, err := f.oauth2.Exchange(ctx, code.Reveal(), oauth2.VerifierOption(verifier.Reveal()))
	if err != nil {
		return "", fmt.Errorf("redeem the code of a sign-in: %w", brief(err))
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return "", errors.New("the issuer has sent no ID token")
	}
	id, err := f.verifier.Verify(ctx, raw)
	if err != nil {
		return "", fmt.Errorf("verify an ID token: %w", brief(err))
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(nonce)) != 1 {
		return "", errors.New("the ID token is for another sign-in: its nonce differs")
	}
	return p.subjectOf(id)
}

func (p *RelyingParty) subjectOf(id *oidc.IDToken) (string, error) {
	said, err := claims.Of(id)
	if err != nil {
		return "", brief(err)
	}
	subject, err := said.Subject(p.config.SubjectClaim)
	if err != nil {
		return "", fmt.Errorf("%w: see subject_claim and scopes", brief(err))
	}
	return subject, nil
}

// discover asks the issuer for its metadata, once it has answered never again. The
// keys that it signs with are asked for when they are needed.
func (p *RelyingParty) discover(ctx context.Context) (*found, error) {
	if f := p.found.Load(); f != nil {
		return f, nil
	}
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.config.Issuer)
	if err != nil {
		return nil, fmt.Errorf("ask the issuer for its metadata: %w", brief(err))
	}
	var metadata struct {
		Methods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := provider.Claims(&metadata); err != nil {
		return nil, fmt.Errorf("read the issuer's metadata: %w", brief(err))
	}
	endpoint := provider.Endpoint()
	// Where it says nothing, it is basic (OpenID Connect Discovery 1.0, section 3).
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if metadata.Methods != nil && !slices.Contains(metadata.Methods, "client_secret_basic") {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	f := &found{
		oauth2: oauth2.Config{
			ClientID: p.config.ClientID, ClientSecret: p.config.ClientSecret.Reveal(), Endpoint: endpoint,
			RedirectURL: p.config.RedirectURL, Scopes: p.config.Scopes,
		},
		verifier: provider.Verifier(&oidc.Config{ClientID: p.config.ClientID}),
	}
	p.found.Store(f)
	return f, nil
}
