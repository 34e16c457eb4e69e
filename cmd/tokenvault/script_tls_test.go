package main

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// scriptCertificates returns a folder with certificates for scripts: NAME.crt with
// NAME.key, and those of two authorities, ca.crt and other-ca.crt.
func scriptCertificates(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	authority, other := vaulttest.NewAuthority(t), vaulttest.NewAuthority(t)
	ago, later := time.Now().Add(-time.Minute), time.Now().Add(30*time.Minute)
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, a := range map[string]*vaulttest.Authority{"ca.crt": authority, "other-ca.crt": other} {
		data, err := os.ReadFile(a.File)
		if err != nil {
			t.Fatal(err)
		}
		write(name, data)
	}
	for name, pair := range map[string]tls.Certificate{
		"server":         authority.Server(t, vaulttest.ServerCert{}),
		"other-server":   other.Server(t, vaulttest.ServerCert{}),
		"elsewhere":      authority.Server(t, vaulttest.ServerCert{DNSNames: []string{"vault.example.com"}, Elsewhere: true}),
		"expired":        authority.Server(t, vaulttest.ServerCert{NotAfter: ago}),
		"early":          authority.Server(t, vaulttest.ServerCert{NotBefore: later}),
		"client":         authority.Client(t, vaulttest.ClientCert{SPIFFEID: "spiffe://example.org/client"}),
		"other-client":   other.Client(t, vaulttest.ClientCert{SPIFFEID: "spiffe://example.org/client"}),
		"expired-client": authority.Client(t, vaulttest.ClientCert{SPIFFEID: "spiffe://example.org/client", NotAfter: ago}),
	} {
		certificate, key := vaulttest.PEM(t, pair)
		write(name+".crt", certificate)
		write(name+".key", key)
	}
	return dir
}
