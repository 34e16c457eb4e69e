package provider

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// assertionType says that a client assertion is a JWT (RFC 7523, section 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// assertionLife is how long a client assertion can be used.
const assertionLife = 5 * time.Minute

// minKeyBits is the shortest RSA key that the vault signs with.
const minKeyBits = 2048

// assertions makes client assertions: JWTs with which a client that holds a
// private key authenticates (RFC 7523, section 3).
type assertions struct {
	clientID string
	signer   jose.Signer
}

// newAssertions reads a private key in PEM: PKCS #8, PKCS #1 or SEC 1. The error
// does not repeat it. keyID may be empty.
func newAssertions(clientID string, key secret.String, keyID string) (*assertions, error) {
	block, _ := pem.Decode([]byte(key.Reveal()))
	if block == nil {
		return nil, errors.New("is not a private key in PEM")
	}
	private, err := parsePrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	algorithm, err := algorithmOf(private)
	if err != nil {
		return nil, err
	}
	options := (&jose.SignerOptions{}).WithType("JWT")
	if keyID != "" {
		options = options.WithHeader("kid", keyID)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: private}, options)
	if err != nil {
		return nil, errors.New("is not a private key that can sign")
	}
	return &assertions{clientID: clientID, signer: signer}, nil
}

// CheckClientKey says what is wrong with a client's private key, without
// repeating it.
func CheckClientKey(key secret.String) error {
	_, err := newAssertions("", key, "")
	return err
}

func parsePrivateKey(der []byte) (any, error) {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	return nil, errors.New("is not a private key in PEM: PKCS #8, PKCS #1 or SEC 1, without a passphrase")
}

// algorithmOf returns the algorithm that goes with a key.
func algorithmOf(private any) (jose.SignatureAlgorithm, error) {
	switch key := private.(type) {
	case *rsa.PrivateKey:
		if key.N.BitLen() < minKeyBits {
			return "", fmt.Errorf("is an RSA key of less than %d bits", minKeyBits)
		}
		return jose.RS256, nil
	case *ecdsa.PrivateKey:
		switch key.Curve.Params().BitSize {
		case 256:
			return jose.ES256, nil
		case 384:
			return jose.ES384, nil
		case 521:
			return jose.ES512, nil
		}
	case ed25519.PrivateKey:
		return jose.EdDSA, nil
	}
	return "", errors.New("is not a key for RSA, P-256, P-384, P-521 or Ed25519")
}

// sign returns an assertion for an audience, usable once.
func (a *assertions) sign(audience string) (string, error) {
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": a.clientID, "sub": a.clientID, "aud": audience, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return "", err
	}
	signed, err := a.signer.Sign(claims)
	if err != nil {
		return "", errors.New("the client assertion cannot be signed")
	}
	return signed.CompactSerialize()
}
