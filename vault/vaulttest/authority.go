package vaulttest

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority issues certificates for tests.
type Authority struct {
	// Pool holds the authority's own certificate alone.
	Pool *x509.CertPool
	// File has the same in PEM, in a folder of the test's.
	File string

	certificate *x509.Certificate
	key         ed25519.PrivateKey
}

// NewAuthority makes an authority that lasts as long as the test.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	template := leaf(time.Time{}, time.Time{})
	template.Subject = pkix.Name{CommonName: "vaulttest authority"}
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	a := &Authority{Pool: x509.NewCertPool(), File: filepath.Join(t.TempDir(), "ca.pem")}
	der, key := sign(t, template, template, nil)
	a.key = key
	var err error
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.Pool.AddCert(a.certificate)
	if err := os.WriteFile(a.File, certificatePEM(der), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// ServerCert is what a server's certificate says. The zero value is one for this
// machine's loopback addresses.
type ServerCert struct {
	DNSNames []string // added to localhost
	SPIFFEID string   // the one URI name. Empty: there is none
	// Elsewhere leaves localhost and its addresses out.
	Elsewhere bool
	// NotBefore and NotAfter are as in ClientCert.
	NotBefore, NotAfter time.Time
}

// Server issues a server's certificate.
func (a *Authority) Server(t testing.TB, c ServerCert) tls.Certificate {
	t.Helper()
	template := leaf(c.NotBefore, c.NotAfter)
	template.DNSNames = c.DNSNames
	if !c.Elsewhere {
		template.DNSNames = append([]string{"localhost"}, c.DNSNames...)
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if c.SPIFFEID != "" {
		template.URIs = parseURIs(t, c.SPIFFEID)
	}
	return a.issue(t, template)
}

// ClientCert is what a client's certificate says. Zero: nothing of the kind.
type ClientCert struct {
	SPIFFEID   string   // the URI names, as a list of one
	URIs       []string // after SPIFFEID, if there is one
	DNSNames   []string
	CommonName string
	// NotBefore and NotAfter bound the certificate's life. Zero: it began an hour
	// ago, and has an hour left.
	NotBefore, NotAfter time.Time
	// ForServers is for a certificate that is none of a client's.
	ForServers bool
}

// Client issues a client's certificate.
func (a *Authority) Client(t testing.TB, c ClientCert) tls.Certificate {
	t.Helper()
	template := leaf(c.NotBefore, c.NotAfter)
	template.DNSNames, template.Subject = c.DNSNames, pkix.Name{CommonName: c.CommonName}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if c.ForServers {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	uris := c.URIs
	if c.SPIFFEID != "" {
		uris = append([]string{c.SPIFFEID}, uris...)
	}
	template.URIs = parseURIs(t, uris...)
	return a.issue(t, template)
}

func parseURIs(t testing.TB, texts ...string) (uris []*url.URL) {
	t.Helper()
	for _, text := range texts {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		uris = append(uris, u)
	}
	return uris
}

// ServerConfig is a server's with a certificate of the authority's. It asks for none
// of the client's.
func (a *Authority) ServerConfig(t testing.TB) *tls.Config {
	t.Helper()
	return &tls.Config{
		Certificates: []tls.Certificate{a.Server(t, ServerCert{})}, MinVersion: tls.VersionTLS13,
		SessionTicketsDisabled: true, // a session would outlive its certificates
	}
}

// ClientConfig is a client's that trusts the authority alone, and shows a certificate
// if there is one: whatever it is, where a client would keep back what cannot be good.
func (a *Authority) ClientConfig(cert *tls.Certificate) *tls.Config {
	c := &tls.Config{RootCAs: a.Pool, MinVersion: tls.VersionTLS13}
	if cert != nil {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	return c
}

// PEM returns a certificate and its key as they stand in files.
func PEM(t testing.TB, c tls.Certificate) (certificate, key []byte) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return certificatePEM(c.Certificate[0]), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// leaf is a certificate without a name. Times are as in ClientCert.
func leaf(notBefore, notAfter time.Time) *x509.Certificate {
	if notBefore.IsZero() {
		notBefore = time.Now().Add(-time.Hour)
	}
	if notAfter.IsZero() {
		notAfter = time.Now().Add(time.Hour)
	}
	return &x509.Certificate{NotBefore: notBefore, NotAfter: notAfter, KeyUsage: x509.KeyUsageDigitalSignature}
}

func (a *Authority) issue(t testing.TB, template *x509.Certificate) tls.Certificate {
	t.Helper()
	der, key := sign(t, template, a.certificate, a.key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// sign makes a certificate with a key of its own. by is the issuer's key; nil: it
// signs itself.
func sign(t testing.TB, template, issuer *x509.Certificate, by ed25519.PrivateKey) ([]byte, ed25519.PrivateKey) {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if by == nil {
		by = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, public, by)
	if err != nil {
		t.Fatal(err)
	}
	return der, key
}
