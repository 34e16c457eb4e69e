package provider

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptrace"
	"sync"
	"syscall"
	"time"
)

// connectionSeen is what a probe knows of the connection that it has used.
type connectionSeen struct {
	mu    sync.Mutex
	known bool
	tls   *tls.ConnectionState // nil: without TLS
}

// observe has seen tell, afterwards, of the connection that a request has used.
func observe(ctx context.Context) (observed context.Context, seen *connectionSeen) {
	seen = new(connectionSeen)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: seen.note}), seen
}

func (s *connectionSeen) note(info httptrace.GotConnInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = true
	if conn, ok := info.Conn.(*tls.Conn); ok {
		state := conn.ConnectionState()
		s.tls = &state
	}
}

// String is the end of a sentence; empty where nothing is known.
func (s *connectionSeen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.tls != nil && len(s.tls.PeerCertificates) > 0:
		return fmt.Sprintf("; %s, certificate until %s", tls.VersionName(s.tls.Version), s.tls.PeerCertificates[0].NotAfter.UTC().Format(time.DateOnly))
	case s.known && s.tls == nil:
		return "; without TLS"
	}
	return ""
}

// reasonForCause words why there was no answer, and what to do.
func reasonForCause(err error) string {
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var notTLS tls.RecordHeaderError
	var name *net.DNSError
	var timeout net.Error
	switch {
	case errors.Is(err, errPrivateAddress):
		return errPrivateAddress.Error()
	case errors.As(err, &host):
		return "its certificate is for another host: correct the host name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate has expired or is not valid yet: renew it there, or set the clock here"
	case errors.As(err, &unknown):
		return "its certificate is of an authority that this machine does not know: add that to the machine's certificates"
	case errors.As(err, &invalid):
		return "its certificate is not valid for this use"
	case errors.As(err, &notTLS):
		return "what answers there does not speak TLS: correct the port, or write http:// on loopback"
	case errors.As(err, &name) && name.IsNotFound:
		return "there is no host of that name: correct it"
	case errors.As(err, &name):
		return "its host name could not be looked up: check this machine's name servers"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: correct host and port, or start the provider"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "there is no answer in time: check the address and the network between"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "this machine has no way there: check its network"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "the connection was closed before there was an answer"
	}
	return err.Error() // one that may be logged
}
