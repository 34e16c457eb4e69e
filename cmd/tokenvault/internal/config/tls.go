package config

import (
	"crypto/x509"
	"net"
	"net/netip"
	"time"

	"github.com/tokenvault/tokenvault/vault/certs"
	"github.com/tokenvault/tokenvault/vault/loopback"
)

// fileTLS is how the listeners are secured.
type fileTLS struct {
	CertFile       string `yaml:"cert_file"`
	KeyFile        string `yaml:"key_file"`
	ClientCAFile   string `yaml:"client_ca_file"`
	AllowPlaintext bool   `yaml:"allow_plaintext"`
}

func (t fileTLS) isOn() bool { return t.CertFile != "" || t.KeyFile != "" || t.ClientCAFile != "" }

// certificates reads the files as the start will, and returns where they are. Zero:
// the listeners are plaintext.
func (r *reader) certificates(t fileTLS) certs.Files {
	if !t.isOn() {
		return certs.Files{}
	}
	if t.AllowPlaintext {
		r.fail([]string{"tls", "allow_plaintext"}, "must be left out: with the other keys of tls, both listeners have TLS")
	}
	files := certs.Files{
		Certificate: r.pathTo("cert_file", t.CertFile, "name the file with the server's certificate"),
		Key:         r.pathTo("key_file", t.KeyFile, "name the file with the certificate's private key"),
	}
	if files.Certificate != "" && files.Key != "" {
		r.checkPair(files)
	}
	if t.ClientCAFile != "" {
		files.ClientAuthorities = r.path(t.ClientCAFile)
		r.authorities([]string{"tls", "client_ca_file"}, files.ClientAuthorities)
	}
	return files
}

// pathTo is path for a file that must be named.
func (r *reader) pathTo(key, value, how string) string {
	if value == "" {
		r.fail([]string{"tls", key}, "is missing: %s, in PEM", how)
		return ""
	}
	return r.path(value)
}

func (r *reader) checkPair(files certs.Files) {
	inCert, inKey := []string{"tls", "cert_file"}, []string{"tls", "key_file"}
	certificate, hasCertificate := r.file(inCert, files.Certificate)
	key, hasKey := r.file(inKey, files.Key)
	if hasKey {
		r.checkMode(inKey, files.Key)
	}
	if !hasCertificate || !hasKey {
		return
	}
	pair, err := certs.ParsePair(certificate, key)
	if err != nil {
		r.fail(inCert, "%s with %s: %v", files.Certificate, files.Key, err)
		return
	}
	if end := pair.Leaf.NotAfter; time.Now().After(end) {
		r.warn(inCert, "the certificate in %s has expired, on %s: clients will refuse it; renew it", files.Certificate, end.Format(time.DateOnly))
	}
}

// authorities reads certificates in PEM. Nil: they are among the problems.
func (r *reader) authorities(path []string, name string) *x509.CertPool {
	data, ok := r.file(path, name)
	if !ok {
		return nil
	}
	pool, err := certs.ParseAuthorities(data)
	if err != nil {
		r.fail(path, "%s %v: write the certificates of authorities there, in PEM", describeFile(name), err)
	}
	return pool
}

// checkExposed notes an address that is not for this machine alone, and has no TLS.
func (r *reader) checkExposed(path []string, address string, t fileTLS) {
	host, _, err := net.SplitHostPort(address)
	switch {
	case err != nil || t.isOn() || loopback.IsAddr(host):
	case t.AllowPlaintext:
		r.warn(path, "%s is in plaintext, as tls.allow_plaintext says: whoever is on the way can read tokens; let only a proxy with TLS reach it", address)
	default:
		r.fail(path, "%s is not a loopback address, and has no TLS: write tls: {cert_file: ..., key_file: ...}, or tls: {allow_plaintext: true} where only a proxy with TLS reaches it", address)
	}
}

// defaultPublicURL is the address of the browsers' listener itself, where that can be
// one.
func (r *reader) defaultPublicURL(httpAddress string, t fileTLS) string {
	host, _, err := net.SplitHostPort(httpAddress)
	if err != nil {
		return "" // told already
	}
	addr, notAddr := netip.ParseAddr(host)
	switch isAnywhere := host == "" || notAddr == nil && addr.IsUnspecified(); {
	case isAnywhere, !t.isOn() && !loopback.IsAddr(host):
		r.fail([]string{"public_url"}, "is missing: write where browsers reach listen.http, such as https://connect.example.com")
		return ""
	case t.isOn():
		return "https://" + httpAddress
	}
	return "http://" + httpAddress
}
