package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc/status"
)

// probePatience is how long an address is looked at after a call has failed.
const probePatience = 3 * time.Second

// diagnose tells an address at which nobody listens from one at which something
// else does, or a vault that is secured otherwise. config is what was tried; nil:
// plaintext.
func (f *clientFlags) diagnose(ctx context.Context, target string, config *tls.Config, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probePatience)
	defer cancel()
	p := prober{ctx, target}
	said := status.Convert(cause).Message()
	switch http1, err := p.speaksHTTP1(); {
	case err != nil:
		return fmt.Errorf("no vault answers at %s: start one with `tokenvault serve` or `tokenvault dev`, or say with --addr where it is", f.addr)
	case http1:
		return f.notGRPC("HTTP/1.1")
	case config != nil:
		return f.diagnoseTLS(p, config, said)
	case p.handshake(&tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}) != nil: // nothing is sent
		return fmt.Errorf("something answers at %s, but not a vault without TLS, as it is on loopback: %s", f.addr, said)
	case f.transport.plaintext:
		return fmt.Errorf("the vault at %s has TLS: leave out --plaintext, and TOKENVAULT_PLAINTEXT", f.addr)
	}
	return fmt.Errorf("the vault at %s has TLS: name the authority that issued its certificate with --ca FILE", f.addr)
}

// notGRPC is for what speaks something else.
func (f *clientFlags) notGRPC(speaks string) error {
	return fmt.Errorf("what answers at %s speaks %s: --addr is the vault's address for gRPC, listen.grpc in its configuration", f.addr, speaks)
}

// isFromHTTP reports whether an answer is a web server's.
func isFromHTTP(err error) bool {
	return strings.HasPrefix(status.Convert(err).Message(), "unexpected HTTP status code received from server")
}

// diagnoseTLS says why no connection with TLS came about.
func (f *clientFlags) diagnoseTLS(p prober, config *tls.Config, said string) error {
	err := p.handshake(config)
	var unverified *tls.CertificateVerificationError
	switch {
	case errors.As(err, &unverified):
		return f.unverified(unverified)
	case isAlert(err, alertUnknownCA), isAlert(err, alertBadCertificate):
		return fmt.Errorf("the vault at %s does not take the client certificate in %s: an authority in its tls.client_ca_file must have issued it, for clients", f.addr, f.transport.cert)
	case isAlert(err, alertCertificateExpired):
		return fmt.Errorf("the client certificate in %s has expired, or is not valid yet: renew it", f.transport.cert)
	case isAlert(err, alertCertificateRequired):
		return fmt.Errorf("what answers at %s wants a client certificate: name one with --cert FILE --cert-key FILE", f.addr)
	case err == nil:
		return fmt.Errorf("something answers at %s with TLS, but not a vault: %s", f.addr, said)
	case p.speaksHTTP2():
		return fmt.Errorf("the vault at %s has no TLS: if tokens may go there in plaintext, leave out --ca, --cert and --cert-key, and off loopback say --plaintext", f.addr)
	}
	return fmt.Errorf("something answers at %s, but not a vault with TLS, which every address but loopback needs: %s", f.addr, said)
}

// unverified says what is wrong with a server's certificate.
func (f *clientFlags) unverified(err *tls.CertificateVerificationError) error {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	switch now := time.Now(); {
	case errors.As(err, &unknown) && f.transport.ca != "":
		return fmt.Errorf("the certificate of the vault at %s was issued by none of the authorities in %s: name the right one with --ca", f.addr, f.transport.ca)
	case errors.As(err, &unknown):
		return fmt.Errorf("this machine does not know the authority that issued the certificate of the vault at %s: name it with --ca FILE", f.addr)
	case errors.As(err, &name):
		return fmt.Errorf("the certificate of the vault at %s is for other names (%w): say one of those with --addr, or have this one put into the certificate", f.addr, name)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && now.After(invalid.Cert.NotAfter):
		return fmt.Errorf("the certificate of the vault at %s has expired, on %s: it must be renewed there", f.addr, invalid.Cert.NotAfter.Format(time.DateOnly))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("the certificate of the vault at %s is not valid before %s: see whether this machine's clock is right", f.addr, invalid.Cert.NotBefore.Format(time.DateOnly))
	}
	return fmt.Errorf("the certificate of the vault at %s cannot be trusted: %w", f.addr, err.Err)
}

// Alerts of TLS (RFC 8446, section 6).
const (
	alertBadCertificate      tls.AlertError = 42
	alertCertificateExpired  tls.AlertError = 45
	alertUnknownCA           tls.AlertError = 48
	alertCertificateRequired tls.AlertError = 116
)

// isAlert reports whether the other side has ended a connection with an alert, which
// crypto/tls tells in words alone.
func isAlert(err error, alert tls.AlertError) bool {
	var remote *net.OpError
	return errors.As(err, &remote) && remote.Op == "remote error" && remote.Err.Error() == alert.Error()
}

// prober looks at what answers at an address. Nothing that it sends is secret.
type prober struct {
	ctx    context.Context // with a deadline
	target string
}

func (p prober) dial() (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(p.ctx, "tcp", p.target)
	if err != nil {
		return nil, err
	}
	if deadline, ok := p.ctx.Deadline(); ok {
		err = conn.SetDeadline(deadline)
	}
	return conn, err
}

// handshake begins a connection with TLS, and waits for the first that the server says:
// by then it has looked at the client's certificate.
func (p prober) handshake(config *tls.Config) error {
	conn, err := p.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	config = config.Clone()
	if config.ServerName, _, err = net.SplitHostPort(p.target); err != nil {
		return err
	}
	_, err = tls.Client(conn, config).Read(make([]byte, 1))
	return err
}

// speaksHTTP2 reports whether a server without TLS says what begins HTTP/2: a SETTINGS
// frame.
func (p prober) speaksHTTP2() bool {
	conn, err := p.dial()
	if err != nil {
		return false
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"); err != nil {
		return false
	}
	var frame [9]byte
	_, err = io.ReadFull(conn, frame[:])
	return err == nil && frame[3] == 0x04
}

// speaksHTTP1 asks as a browser would. A gRPC server hangs up. The error is that
// nobody answers.
func (p prober) speaksHTTP1() (bool, error) {
	conn, err := p.dial()
	if err != nil {
		return false, err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+p.target+"\r\nConnection: close\r\n\r\n"); err != nil {
		return false, nil
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return err == nil && strings.HasPrefix(line, "HTTP/1."), nil
}
