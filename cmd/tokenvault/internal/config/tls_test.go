package config_test

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/tokenvault/tokenvault/cmd/tokenvault/internal/config"
	"github.com/tokenvault/tokenvault/vault/certs"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// withCertificates is source with the files of a server beside it.
func withCertificates(t *testing.T) config.Source {
	t.Helper()
	authority := vaulttest.NewAuthority(t)
	ca, err := os.ReadFile(authority.File)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key := vaulttest.PEM(t, authority.Server(t, vaulttest.ServerCert{}))
	old, oldKey := vaulttest.PEM(t, authority.Server(t, vaulttest.ServerCert{NotAfter: time.Now().Add(-time.Minute)}))
	files := map[string][]byte{
		"/etc/vault/server.crt": certificate, "/etc/vault/server.key": key, "/etc/vault/old.crt": old, "/etc/vault/old.key": oldKey,
		"/etc/vault/ca.crt": ca, "/etc/vault/half.crt": ca[:len(ca)/2],
	}
	src := source()
	others := src.ReadFile
	src.ReadFile = func(path string) ([]byte, error) {
		if data, ok := files[path]; ok {
			return data, nil
		}
		return others(path)
	}
	return src
}

const withoutPublicURL = "public_url: https://connect.example.com/\n"

// written is the good configuration with other addresses and keys.
func written(listen, publicURL, tls string) []byte {
	text := strings.Replace(good, `listen: {grpc: "127.0.0.1:9090", http: "[::1]:8080"}`, "listen: {"+listen+"}", 1)
	text = strings.Replace(text, withoutPublicURL, publicURL, 1)
	if tls != "" {
		text += "tls: {" + tls + "}\n"
	}
	return []byte(text)
}

const pair = "cert_file: server.crt, key_file: server.key"

func TestListenersWithTLSMayBeAnywhere(t *testing.T) {
	src := withCertificates(t)
	nothing, server := certs.Files{}, certs.Files{Certificate: "/etc/vault/server.crt", Key: "/etc/vault/server.key"}
	withClients := server
	withClients.ClientAuthorities = "/etc/vault/ca.crt"
	for _, row := range []struct {
		name, listen, publicURL, tls string
		wantURL                      string
		warnings                     int
		files                        certs.Files
	}{
		{"on loopback, without", "", "", "", "http://127.0.0.1:8080", 0, nothing},
		{"on loopback", "", "", pair, "https://127.0.0.1:8080", 0, server},
		{"with an authority of clients", "", "", pair + ", client_ca_file: ca.crt", "https://127.0.0.1:8080", 0, withClients},
		{"everywhere", `grpc: ":9090", http: "0.0.0.0:8443"`, withoutPublicURL, pair, "https://connect.example.com", 0, server},
		{"at a name", `grpc: "vault.internal:9090", http: "vault.internal:8443"`, "", pair, "https://vault.internal:8443", 0, server},
		{"plaintext that is wanted", `grpc: "0.0.0.0:9090", http: "10.0.0.1:8080"`, withoutPublicURL, "allow_plaintext: true", "https://connect.example.com", 2, nothing},
		{"plaintext that goes nowhere", "", "", "allow_plaintext: true", "http://127.0.0.1:8080", 0, nothing},
		{"an expired certificate", "", "", "cert_file: old.crt, key_file: old.key", "https://127.0.0.1:8080", 1, certs.Files{Certificate: "/etc/vault/old.crt", Key: "/etc/vault/old.key"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, err := config.Parse("/etc/vault/tokenvault.yaml", written(row.listen, row.publicURL, row.tls), src)
			if err != nil {
				t.Fatal(err)
			}
			if c.PublicURL != row.wantURL || len(c.Warnings) != row.warnings {
				t.Errorf("public URL %s with warnings %q, want %s with %d", c.PublicURL, c.Warnings, row.wantURL, row.warnings)
			}
			if c.TLS != row.files {
				t.Errorf("files = %+v, want %+v", c.TLS, row.files)
			}
		})
	}
}

func TestTLSThatCannotWorkIsNamedWithItsLine(t *testing.T) {
	src := withCertificates(t)
	const anywhere = `grpc: ":9090", http: ":8080"`
	for _, row := range []struct {
		name, listen, publicURL, tls string
		want                         string
	}{
		{"nothing off loopback", anywhere, withoutPublicURL, "", ":1: listen.grpc: :9090 is not a loopback address, and has no TLS: write tls:"},
		{"nothing at the browsers' listener", `http: "10.0.0.1:8080"`, withoutPublicURL, "", ":1: listen.http: 10.0.0.1:8080 is not a loopback address, and has no TLS: write tls:"},
		{"a name that may lead anywhere", `grpc: "localhost:9090"`, withoutPublicURL, "", ":1: listen.grpc: localhost:9090 is not a loopback address"},
		{"plaintext that is not wanted", anywhere, withoutPublicURL, "allow_plaintext: false", ":1: listen.grpc: :9090 is not a loopback address"},
		{"plaintext beside certificates", "", "", pair + ", allow_plaintext: true", ":18: tls.allow_plaintext: must be left out"},
		{"no key", "", "", "cert_file: server.crt", ":18: tls.key_file: is missing: name the file"},
		{"no certificate", "", "", "key_file: server.key", ":18: tls.cert_file: is missing: name the file"},
		{"an authority alone", "", "", "client_ca_file: ca.crt", ":18: tls.cert_file: is missing: name the file"},
		{"no such certificate", "", "", "cert_file: nowhere.crt, key_file: server.key", ":18: tls.cert_file: the file /etc/vault/nowhere.crt does not exist"},
		{"a key that may not be read", "", "", "cert_file: server.crt, key_file: forbidden.key", ":18: tls.key_file: this user may not read the file /etc/vault/forbidden.key"},
		{"a folder", "", "", "cert_file: folder, key_file: server.key", ":18: tls.cert_file: the file /etc/vault/folder cannot be read"},
		{"another's key", "", "", "cert_file: server.crt, key_file: old.key", ":18: tls.cert_file: /etc/vault/server.crt with /etc/vault/old.key: the certificate and the key are no pair"},
		{"something else", "", "", "cert_file: other.key, key_file: server.key", ":18: tls.cert_file: /etc/vault/other.key with /etc/vault/server.key: the certificate is not in PEM"},
		{"half an authority", "", "", pair + ", client_ca_file: half.crt", ":18: tls.client_ca_file: the file /etc/vault/half.crt breaks off"},
		{"a key as an authority", "", "", pair + ", client_ca_file: server.key", ":18: tls.client_ca_file: the file /etc/vault/server.key holds something else"},
		{"half an authority of an issuer", "", "", pair + "}\nsubject_tokens: {issuer: https://id.example, audience: x}\nissuers: {https://id.example: {ca_file: half.crt}", ":20: issuers.https://id.example.ca_file: the file /etc/vault/half.crt breaks off"},
		{"no public_url where none can be guessed", anywhere, "", pair, ":1: public_url: is missing: write where browsers reach listen.http"},
		{"nor one for a proxy", `http: "10.0.0.1:8080"`, "", "allow_plaintext: true", ":1: public_url: is missing: write where browsers reach listen.http"},
		{"a public_url without TLS", "", "public_url: http://127.0.0.1:8080\n", pair, ":2: public_url: must begin with https://, since listen.http has TLS"},
		{"a text", "", "", "cert_file: [server.crt]", ":18: tls.cert_file: write a text"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := config.Parse("/etc/vault/tokenvault.yaml", written(row.listen, row.publicURL, row.tls), src)
			if err == nil || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("error = %v\nwant one with %q", err, row.want)
			}
		})
	}
}

func TestAServersKeyThatOthersMayReadIsWarnedOf(t *testing.T) {
	src := withCertificates(t)
	src.Stat = func(path string) (fs.FileInfo, error) {
		mode := fs.FileMode(0o600)
		if path != "/etc/vault/master.key" {
			mode = 0o644
		}
		return fs.Stat(fstest.MapFS{"x": {Mode: mode}}, "x")
	}
	c, err := config.Parse("/etc/vault/tokenvault.yaml", written("", "", pair), src)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "tls.key_file: every user of this machine may read") {
		t.Errorf("warnings = %q, want one of the key, which is none of the certificate", c.Warnings)
	}
}
