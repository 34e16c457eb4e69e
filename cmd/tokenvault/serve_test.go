package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/cmd/tokenvault/internal/config"
	"github.com/tokenvault/tokenvault/vault/keyring"
	"github.com/tokenvault/tokenvault/vault/server"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// TestTheConfigurationInTheHelpCanWork reads the example as serve would.
func TestTheConfigurationInTheHelpCanWork(t *testing.T) {
	_, example, _ := strings.Cut(newServe().Long, "env:NAME or file:PATH.\n\n")
	example, _, found := strings.Cut(example, "\n\n")
	if !found {
		t.Fatal("the help has no example")
	}
	example = strings.Replace(example, "2bb8...", strings.Repeat("2bb8", 16), 1)
	key := keyring.GenerateMasterKey().Reveal()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	authority := vaulttest.NewAuthority(t)
	certificate, certificateKey := vaulttest.PEM(t, authority.Server(t, vaulttest.ServerCert{}))
	ca, err := os.ReadFile(authority.File)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{
		"shop.pem":   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		"server.crt": certificate, "server.key": certificateKey, "clients.crt": ca, "ca.crt": ca, "logo.svg": []byte("<svg/>"),
	}
	c, err := config.Parse("help.yaml", []byte(example), config.Source{
		LookupEnv: func(string) (string, bool) { return "secret", true },
		ReadFile: func(path string) ([]byte, error) {
			if data, ok := files[path]; ok {
				return data, nil
			}
			return []byte(key), nil
		},
		RPCs: server.RPCs(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Providers) != 4 || len(c.Access.Rules) != 2 {
		t.Errorf("%d providers and %d callers, want 4 and 2", len(c.Providers), len(c.Access.Rules))
	}
}

// TestTheHelpHasEveryKey fails for a key that nobody has told operators of.
func TestTheHelpHasEveryKey(t *testing.T) {
	for _, key := range config.Keys() {
		if !strings.Contains(serveHelp, key+":") {
			t.Errorf("the help does not speak of %s", key)
		}
	}
}
