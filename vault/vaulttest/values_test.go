package vaulttest_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/gob"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"
	"text/template"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/audit"
	"github.com/tokenvault/tokenvault/vault/keyring"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/server"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// values are those of the packages' types that hold secrets, with secrets in them
// that the scanner knows.
func values(t *testing.T, s *scanner) map[string]any {
	t.Helper()
	canary := func(name string) secret.String {
		text := "canary " + name + " " + access.GenerateToken().Reveal()
		s.add(name, text)
		return secret.New(text)
	}
	master, token := keyring.GenerateMasterKey(), access.GenerateToken()
	raw, err := base64.StdEncoding.DecodeString(master.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	s.add("master key", master.Reveal(), string(raw))
	s.add("caller token", token.Reveal())
	e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
	e.MustConnect("alice")
	creds, err := e.Credentials("alice")
	if err != nil {
		t.Fatal(err)
	}
	s.add("access token", creds.AccessToken.Reveal())
	masterKey, err := keyring.ParseMasterKey(master)
	if err != nil {
		t.Fatal(err)
	}
	keys, keyset, err := keyring.Generate(masterKey)
	if err != nil {
		t.Fatal(err)
	}
	derived, err := keys.Derive("audit log")
	if err != nil {
		t.Fatal(err)
	}
	s.add("audit key", string(derived))
	auditKey, err := audit.NewKey(derived)
	if err != nil {
		t.Fatal(err)
	}
	policy, err := access.NewPolicy(access.Config{Rules: []access.Rule{{Name: "a", Tenant: "b", Tokens: access.HashTokens(token)}}})
	if err != nil {
		t.Fatal(err)
	}
	withSecret := provider.Config{
		Name: "acme", ClientID: "id", ClientSecret: canary("client secret"),
		Definition: provider.Definition{AuthorizeURL: "https://a.example/", TokenURL: "https://a.example/", ClientAuth: provider.ClientAuthPost},
	}
	withKey := withSecret
	withKey.ClientSecret, withKey.ClientKey, withKey.Definition.ClientAuth = secret.String{}, privateKey(t, s), provider.ClientAuthPrivateKeyJWT
	all := map[string]any{
		"credentials": creds, "master key": masterKey, "keyring": keys, "keyset": keyset, "audit key": auditKey, "policy": policy,
		"callback":             vault.CallbackRequest{Code: canary("code"), FlowCookie: canary("flow cookie")},
		"authorization":        vault.Authorization{FlowCookie: canary("another flow cookie")},
		"authorization (wire)": provider.AuthorizationRequest{Verifier: canary("verifier")},
		"token":                provider.Token{AccessToken: canary("another access token"), RefreshToken: canary("refresh token")},
		"device":               provider.DeviceAuthorization{DeviceCode: canary("device code")},
		"provider, configured": withSecret, "provider with a key, configured": withKey,
		"server, configured": server.Config{Policy: policy},
		"vault, configured":  vault.Config{Keyring: keys},
		"audit, configured":  audit.Config{Key: auditKey},
	}
	for name, config := range map[string]provider.Config{"provider": withSecret, "provider with a key": withKey} {
		if all[name], err = provider.New(config); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// privateKey is one in PEM. Its number is known to the scanner, too.
func privateKey(t *testing.T, s *scanner) secret.String {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	number, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	s.add("private key", strings.Split(text, "\n")[1], string(number), new(big.Int).SetBytes(number).String())
	return secret.New(text)
}

func TestNoValueThatHoldsSecretsShowsThem(t *testing.T) {
	var s scanner
	all := values(t, &s)
	check := func(name, how string, text []byte) {
		t.Helper()
		if found := s.find(text); len(found) > 0 {
			t.Errorf("%s, %s: %s", name, how, strings.Join(found, "; "))
		}
	}
	for name, v := range all {
		for _, holder := range []any{v, struct{ inner any }{v}, []any{v}, map[string]any{"k": v}} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%U", "%t", "%p"} {
				check(name, verb, fmt.Appendf(nil, verb, holder))
			}
			var out bytes.Buffer
			_ = json.NewEncoder(&out).Encode(holder)
			_ = xml.NewEncoder(&out).Encode(holder)
			_ = gob.NewEncoder(&out).Encode(holder)
			_ = template.Must(template.New("").Parse("{{.}}")).Execute(&out, holder)
			check(name, "encoded", out.Bytes())
		}
		var log bytes.Buffer
		for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
			slog.New(handler).Info("m", "v", v)
		}
		check(name, "logged", log.Bytes())
	}
	for _, want := range []string{"master key", "caller token", "access token", "audit key", "client secret", "private key", "code", "verifier", "refresh token", "device code", "flow cookie"} {
		if !strings.Contains(strings.Join(s.names(), "\n"), want) {
			t.Errorf("no %s was looked for", want)
		}
	}
}
