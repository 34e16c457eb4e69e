package vaulttest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/sandbox/playbook"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// cast has the sandbox play the engine's definitions. The vault is registered at
// each.
func (e *Engine) cast(config *sandbox.Config) {
	e.t.Helper()
	e.Parts = map[string]playbook.Part{}
	for name, d := range e.config.Definitions {
		client := sandbox.Client{ID: ClientID, Secret: e.Seat.ClientSecret, RedirectURIs: []string{vault.RedirectURL(enginePublicURL, name)}}
		if d.ClientAuth == provider.ClientAuthPrivateKeyJWT {
			client.PublicKeys = []crypto.PublicKey{e.makeClientKey()}
		}
		part, err := playbook.Cast(name, d, []sandbox.Client{client})
		if err != nil {
			e.t.Fatal(err)
		}
		e.Parts[name] = part
		config.Scripts = append(config.Scripts, part.Script)
	}
}

// makeClientKey makes the vault's private key, and returns the public one.
func (e *Engine) makeClientKey() crypto.PublicKey {
	e.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		e.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		e.t.Fatal(err)
	}
	e.Seat.ClientKey = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return key.Public()
}

// played are the providers of definitions, as the sandbox plays them.
func (s Seat) played(definitions map[string]provider.Definition, transport http.RoundTripper) ([]*provider.Provider, error) {
	var providers []*provider.Provider
	for name, d := range definitions {
		c := provider.Config{Name: name, Definition: d, RedirectURL: vault.RedirectURL(enginePublicURL, name), Transport: transport}
		switch {
		case !d.HasOAuth():
		case d.ClientAuth == provider.ClientAuthPrivateKeyJWT:
			c.ClientID, c.ClientKey = ClientID, secret.New(s.ClientKey)
		case d.ClientAuth == provider.ClientAuthNone:
			c.ClientID = ClientID
		default:
			c.ClientID, c.ClientSecret = ClientID, secret.New(s.ClientSecret)
		}
		p, err := provider.New(c)
		if err != nil {
			return nil, err
		}
		providers = append(providers, p)
	}
	return providers, nil
}
