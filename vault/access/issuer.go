package access

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/tokenvault/tokenvault/vault/claims"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// Issuer is who makes JWTs.
type Issuer struct {
	// URL is the issuer as its tokens name it.
	URL string
	// KeysURL is where its keys are (a JWK Set). Empty: where its metadata says
	// (OpenID Connect Discovery).
	KeysURL string
	// RootCAs are the authorities for its certificate. Nil: the system's.
	RootCAs *x509.CertPool
	// TokenFile holds a token to send when asking for the keys, as a Kubernetes API
	// server wants; it is read anew each time. It goes to the hosts of URL and KeysURL
	// alone. Empty: none is sent.
	TokenFile string
}

// verifiedToken is a token and what it says.
type verifiedToken struct {
	*oidc.IDToken
	claims claims.Claims
}

// issuers are known by their URLs.
type issuers map[string]*oidc.IDTokenVerifier

func newIssuers(all []Issuer, now func() time.Time) (issuers, error) {
	made := issuers{}
	for _, i := range all {
		if i.URL == "" || made[i.URL] != nil {
			return nil, fmt.Errorf("access: every issuer needs a URL of its own (%q)", i.URL)
		}
		// Who a token is for is compared afterwards: each caller has an audience.
		made[i.URL] = oidc.NewVerifier(i.URL, newKeySet(i, now), &oidc.Config{
			SupportedSigningAlgs: algorithmNames(), SkipClientIDCheck: true, Now: now,
		})
	}
	return made, nil
}

// verify checks a token's signature, issuer and time. The error is ErrUnknown or
// ErrUnavailable.
func (all issuers) verify(ctx context.Context, token secret.String) (*verifiedToken, error) {
	parsed, err := jwt.ParseSigned(token.Reveal(), algorithms())
	if err != nil {
		return nil, fmt.Errorf("%w: the token is no JWT, or not signed with an algorithm that is accepted", ErrUnknown)
	}
	if !isBearerType(parsed) {
		return nil, fmt.Errorf("%w: the token is of a type (typ) that nobody shows to call with", ErrUnknown)
	}
	var claimed struct {
		Issuer       string          `json:"iss"`
		Confirmation json.RawMessage `json:"cnf"`
	}
	if err := parsed.UnsafeClaimsWithoutVerification(&claimed); err != nil {
		return nil, fmt.Errorf("%w: the token's claims cannot be read", ErrUnknown)
	}
	if claimed.Confirmation != nil { // RFC 7800: it is worth nothing without a proof, which is not looked at here
		return nil, fmt.Errorf("%w: the token is bound to a key (cnf), and not for whoever bears it", ErrUnknown)
	}
	verifier := all[claimed.Issuer]
	if verifier == nil {
		return nil, fmt.Errorf("%w: the token's issuer is not one of the configuration's", ErrUnknown)
	}
	ctx, asking := withAsking(ctx)
	verified, err := verifier.Verify(ctx, token.Reveal())
	switch {
	case err == nil:
		said, err := claims.Of(verified)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnknown, err)
		}
		return &verifiedToken{verified, said}, nil
	case asking.failed != nil:
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, asking.failed)
	default:
		return nil, fmt.Errorf("%w: issuer %s: %w", ErrUnknown, claimed.Issuer, err)
	}
}

// isBearerType refuses tokens that are made for something else, such as signing people
// out (RFC 8725, section 3.11). Most have no type, or that of all JWTs.
func isBearerType(token *jwt.JSONWebToken) bool {
	kind, _ := token.Headers[0].ExtraHeaders[jose.HeaderType].(string)
	switch strings.TrimPrefix(strings.ToLower(kind), "application/") {
	case "", "jwt", "jose", "at+jwt":
		return true
	}
	return false
}

// looksLikeJWT reports whether a token has the three parts of one.
func looksLikeJWT(token secret.String) bool { return strings.Count(token.Reveal(), ".") == 2 }

// algorithms are the signatures that are accepted: those with public keys.
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512, jose.PS256, jose.PS384, jose.PS512, jose.EdDSA,
	}
}

func algorithmNames() []string {
	var names []string
	for _, algorithm := range algorithms() {
		names = append(names, string(algorithm))
	}
	return names
}
