package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/tokenvault/tokenvault/vault/certs"
)

// files are where the client's certificate and those it trusts are. Empty: none, and
// the system's.
type files struct {
	certificate, key, authorities string
}

// transport chooses TLS, except where nothing leaves the machine or it may do so in
// plaintext.
func (c *config) transport(onMachine bool) (credentials.TransportCredentials, error) {
	byFiles := c.files != files{}
	wantsTLS := byFiles || c.tls != nil
	switch {
	case c.plaintext && wantsTLS:
		return nil, errors.New("client: WithPlaintext goes without WithTLSConfig, WithCAFile and WithCertificateFiles: leave out the one or the others")
	case c.tls != nil && byFiles:
		return nil, errors.New("client: WithTLSConfig goes without WithCAFile and WithCertificateFiles: leave out the one or the others")
	case (c.files.certificate == "") != (c.files.key == ""):
		return nil, errors.New("client: WithCertificateFiles takes a certificate and its key: name both files")
	case c.plaintext, onMachine && !wantsTLS:
		return insecure.NewCredentials(), nil
	}
	h := &handshaker{read: c.tls}
	if h.read == nil {
		h.read = c.files.config
	}
	if _, err := h.config(); err != nil {
		return nil, err
	}
	return h, nil
}

// isSecure reports whether what is sent is kept from those on the way.
func isSecure(t credentials.TransportCredentials) bool {
	_, isTLS := t.(*handshaker)
	return isTLS
}

// showsCertificate reports whether the vault can know the client by its certificate.
func showsCertificate(t credentials.TransportCredentials) bool {
	h, isTLS := t.(*handshaker)
	if !isTLS {
		return false
	}
	c, err := h.config()
	return err == nil && (len(c.Certificates) > 0 || c.GetClientCertificate != nil)
}

// handshaker begins each connection with what there is to read then. There are few
// connections, and whoever renews certificates cannot restart what uses them.
type handshaker struct {
	read func() (*tls.Config, error)

	mu   sync.Mutex
	last *tls.Config // that was good
}

var _ credentials.TransportCredentials = (*handshaker)(nil)

// config reads. Where that fails, it is what was read last.
func (h *handshaker) config() (*tls.Config, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, err := h.read()
	if err == nil {
		h.last = c
	}
	if h.last == nil {
		return nil, err
	}
	return h.last, nil
}

func (f files) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12} // a proxy's, perhaps
	if f.authorities != "" {
		data, err := os.ReadFile(f.authorities)
		if err != nil {
			return nil, fmt.Errorf("client: read the authorities: %w", err)
		}
		if c.RootCAs, err = certs.ParseAuthorities(data); err != nil {
			return nil, fmt.Errorf("client: %s %w", f.authorities, err)
		}
	}
	if f.certificate == "" {
		return c, nil
	}
	pair, err := f.pair()
	if err != nil {
		return nil, err
	}
	c.Certificates = []tls.Certificate{*pair}
	// Shown whatever authorities the server names: it says then what is wrong.
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil }
	return c, nil
}

func (f files) pair() (*tls.Certificate, error) {
	certificate, err := os.ReadFile(f.certificate)
	if err != nil {
		return nil, fmt.Errorf("client: read the certificate: %w", err)
	}
	key, err := os.ReadFile(f.key)
	if err != nil {
		return nil, fmt.Errorf("client: read the certificate's key: %w", err)
	}
	pair, err := certs.ParsePair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("client: %s and %s: %w", f.certificate, f.key, err)
	}
	return pair, nil
}

// ClientHandshake implements credentials.TransportCredentials.
func (h *handshaker) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c, err := h.config()
	if err != nil {
		return nil, nil, err
	}
	conn, info, err := credentials.NewTLS(c).ClientHandshake(ctx, authority, raw)
	if err != nil || len(c.Certificates) == 0 || c.Certificates[0].Leaf == nil {
		return conn, info, err
	}
	return endBefore(conn, c.Certificates[0].Leaf.NotAfter), info, nil
}

// ServerHandshake implements credentials.TransportCredentials.
func (h *handshaker) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("client: is no server")
}

// Info implements credentials.TransportCredentials.
func (h *handshaker) Info() credentials.ProtocolInfo { return credentials.NewTLS(nil).Info() }

// Clone implements credentials.TransportCredentials. There is nothing to copy.
func (h *handshaker) Clone() credentials.TransportCredentials { return h }

// OverrideServerName implements credentials.TransportCredentials, which has it no more.
func (h *handshaker) OverrideServerName(string) error {
	return errors.New("client: use grpc.WithAuthority")
}

// endingConn ends with the certificate that it began with: the vault, which looks at each
// call, would refuse all that come after, and the next connection has the next
// certificate.
type endingConn struct {
	net.Conn
	timer *time.Timer
}

// endBefore has a connection end a minute before its certificate does, or when nine
// tenths of what is left have passed. One with less than a second left ends by itself.
func endBefore(conn net.Conn, end time.Time) net.Conn {
	left := time.Until(end)
	if left < time.Second {
		return conn
	}
	return endingConn{conn, time.AfterFunc(left-min(time.Minute, left/10), func() { _ = conn.Close() })}
}

// Close implements net.Conn.
func (c endingConn) Close() error {
	c.timer.Stop()
	return c.Conn.Close()
}
