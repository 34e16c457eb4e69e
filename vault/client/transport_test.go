package client_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/client"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// newPair writes a client certificate and its key.
func newPair(t testing.TB, a *vaulttest.Authority, c vaulttest.ClientCert) (certificate, key string) {
	t.Helper()
	dir := t.TempDir()
	certificate, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	writePair(t, a, c, certificate, key)
	return certificate, key
}

func writePair(t testing.TB, a *vaulttest.Authority, c vaulttest.ClientCert, certificate, key string) {
	t.Helper()
	certPEM, keyPEM := vaulttest.PEM(t, a.Client(t, c))
	write(t, certificate, certPEM)
	write(t, key, keyPEM)
}

func TestNothingBeginsWithoutWhatItNeeds(t *testing.T) {
	const secret = "tv_canary"
	dir := t.TempDir()
	empty, good := filepath.Join(dir, "empty"), filepath.Join(dir, "token")
	write(t, empty, nil)
	write(t, good, []byte(secret+"\n"))
	authority := vaulttest.NewAuthority(t)
	certificate, key := newPair(t, authority, vaulttest.ClientCert{CommonName: "x"})
	withTLS := func(c *tls.Config, err error) client.Option {
		return client.WithTLSConfig(func() (*tls.Config, error) { return c, err })
	}
	pair := authority.Client(t, vaulttest.ClientCert{CommonName: "x"})
	options := func(o ...client.Option) []client.Option { return o }
	for _, row := range []struct {
		name, addr string
		options    []client.Option
		want       string // empty: it begins
	}{
		{"a token", "127.0.0.1:1", options(client.WithToken(secret)), ""},
		{"a token file", "vault.example:1", options(client.WithTokenFile(good)), ""},
		{"a certificate", "127.0.0.1:1", options(client.WithCertificateFiles(certificate, key)), ""},
		{"a certificate of the program's own", "127.0.0.1:1", options(withTLS(authority.ClientConfig(&pair), nil)), ""},
		{"no credential", "127.0.0.1:1", nil, "no credential"},
		{"TLS without a certificate", "127.0.0.1:1", options(withTLS(authority.ClientConfig(nil), nil)), "no credential"},
		{"TLS that is not to be had", "127.0.0.1:1", options(client.WithToken(secret), withTLS(nil, errors.New("no agent"))), "no agent"},
		{"TLS and authorities", "127.0.0.1:1", options(client.WithToken(secret), withTLS(authority.ClientConfig(nil), nil), client.WithCAFile(authority.File)), "leave out"},
		{"TLS and plaintext", "127.0.0.1:1", options(client.WithToken(secret), withTLS(authority.ClientConfig(nil), nil), client.WithPlaintext()), "leave out"},
		{"an empty token", "127.0.0.1:1", options(client.WithToken("")), "no credential"},
		{"a whole header", "127.0.0.1:1", options(client.WithToken("Bearer " + secret)), "write the token alone"},
		{"a token with a line", "127.0.0.1:1", options(client.WithToken(secret + "\n")), "write the token alone"},
		{"a token and a file", "127.0.0.1:1", options(client.WithToken(secret), client.WithTokenFile(good)), "leave out one"},
		{"no token file", "127.0.0.1:1", options(client.WithTokenFile("nowhere")), "nowhere"},
		{"an empty token file", "127.0.0.1:1", options(client.WithTokenFile(empty)), "is empty"},
		{"half an address", "127.0.0.1", options(client.WithToken(secret)), "write host:port"},
		{"plaintext and a certificate", "vault.example:1", options(client.WithPlaintext(), client.WithCertificateFiles(certificate, key)), "leave out"},
		{"no authorities", "vault.example:1", options(client.WithToken(secret), client.WithCAFile(empty)), "not in PEM"},
		{"a certificate without its key", "vault.example:1", options(client.WithCertificateFiles(certificate, "")), "name both"},
		{"another's key", "vault.example:1", options(client.WithCertificateFiles(certificate, certificate)), "no pair"},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, err := client.New(t.Context(), row.addr, row.options...)
			if row.want == "" {
				if err != nil || c.Close() != nil {
					t.Error(err)
				}
				return
			}
			if err == nil {
				t.Fatalf("it begins, want an error with %q", row.want)
			}
			wantText(t, err.Error(), row.want, secret)
		})
	}
}

// TestOffLoopbackNothingGoesInPlaintextUnlessAsked listens to the first bytes that a
// client sends to a host that is not this machine.
func TestOffLoopbackNothingGoesInPlaintextUnlessAsked(t *testing.T) {
	for _, row := range []struct {
		name, addr string
		options    []client.Option
		tls        bool
	}{
		{"elsewhere", "192.0.2.1:9090", nil, true},
		{"elsewhere, as asked", "192.0.2.1:9090", []client.Option{client.WithPlaintext()}, false},
		{"loopback", "127.0.0.1:9090", nil, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			near, far := net.Pipe()
			defer far.Close()
			var once sync.Once
			dial := func(context.Context, string) (conn net.Conn, err error) {
				err = net.ErrClosed
				once.Do(func() { conn, err = near, nil })
				return conn, err
			}
			options := append(row.options, client.WithToken("tv_canary"), client.WithDialOptions(grpc.WithContextDialer(dial)))
			c, err := client.New(t.Context(), row.addr, options...)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() { _, _ = c.Credentials(ctx, "alice", "acme") }()
			first := make([]byte, 3)
			if _, err := far.Read(first); err != nil {
				t.Fatal(err)
			}
			if got := first[0] == 22; got != row.tls { // a TLS handshake record; otherwise "PRI"
				t.Errorf("the first bytes are %q; TLS: %v, want %v", first, got, row.tls)
			}
		})
	}
}

func TestATokenFileIsReadAnew(t *testing.T) {
	issuer := vaulttest.NewIssuer(t, nil)
	s := vaulttest.New(t, vaulttest.Config{TokenLifetime: 24 * time.Hour, Issuers: []access.Issuer{{URL: issuer.URL}}, Rules: []access.Rule{
		rule(access.Rule{JWT: &access.JWT{Issuer: issuer.URL, Audience: "tokenvault", Subject: "system:serviceaccount:mcp"}}, "GetCredentials"),
	}})
	jwt := func() secret.String {
		return issuer.Token(map[string]any{"aud": "tokenvault", "sub": "system:serviceaccount:mcp", "iat": s.Clock.Now().Unix(), "exp": s.Clock.Now().Add(time.Hour).Unix()})
	}
	path := filepath.Join(t.TempDir(), "token")
	write(t, path, []byte(jwt().Reveal()))
	r := rigOn(t, s, client.WithTokenFile(path))
	r.connect("alice", "acme")
	ask := func() error {
		r.Clock.Advance(time.Minute) // beyond what is kept for who may not watch
		_, err := r.c.Credentials(t.Context(), "alice", "acme")
		return err
	}
	for _, row := range []struct {
		name   string
		change func()
		reason string
	}{
		{"at first", func() {}, ""},
		{"while the file is empty", func() { write(t, path, nil) }, ""},
		{"while it is gone", func() { _ = os.Remove(path) }, ""},
		{"when the token has ended", func() { r.Clock.Advance(time.Hour) }, "CALLER_UNKNOWN"},
		{"with the next one", func() { write(t, path, []byte(jwt().Reveal())) }, ""},
	} {
		row.change()
		if err := ask(); row.reason != "" {
			wantReason(t, err, row.reason)
		} else if err != nil {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

// closing tells when a connection is closed.
type closing struct {
	net.Conn
	closed func()
}

func (c closing) Close() error {
	c.closed()
	return c.Conn.Close()
}

// TestACertificateIsReplacedBeforeItEnds has a connection begin with a certificate of
// seconds, and go on with the next, unasked.
func TestACertificateIsReplacedBeforeItEnds(t *testing.T) {
	const id = "spiffe://example.org/mcp"
	s := vaulttest.New(t, vaulttest.Config{TLS: true, TokenLifetime: 24 * time.Hour, Rules: []access.Rule{rule(access.Rule{SPIFFEID: id}, "GetCredentials")}})
	end := time.Now().Add(4 * time.Second)
	certificate, key := newPair(t, s.Authority, vaulttest.ClientCert{SPIFFEID: id, NotAfter: end})
	closed := make(chan struct{})
	var once sync.Once
	dial := func(ctx context.Context, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		return closing{conn, func() { once.Do(func() { close(closed) }) }}, err
	}
	r := rigOn(t, s, client.WithCAFile(s.Authority.File), client.WithCertificateFiles(certificate, key), client.WithDialOptions(grpc.WithContextDialer(dial)))
	r.connect("alice", "acme")
	ask := func() {
		t.Helper()
		r.Clock.Advance(time.Minute) // beyond what is kept for who may not watch
		if _, err := r.c.Credentials(t.Context(), "alice", "acme"); err != nil {
			t.Error(err)
		}
	}
	// The vault's clock is ahead of the certificate's by the first minute.
	r.Clock.Advance(-2 * time.Minute)
	ask()
	writePair(t, s.Authority, vaulttest.ClientCert{SPIFFEID: id}, certificate, key)
	r.await("the end of the connection with the old certificate", closed)
	if !time.Now().Before(end) {
		t.Log("the machine is slow: the certificate has ended before the connection did")
	}
	ask()
	ask()
	write(t, key, nil) // not whole: nothing changes
	ask()
}
