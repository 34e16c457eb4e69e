package vaulttest

import (
	"context"
	"crypto/tls"
	"net/http"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// bearer sends a caller token with every call.
type bearer struct{ token secret.String }

var _ credentials.PerRPCCredentials = bearer{}

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + b.token.Reveal()}, nil
}

func (b bearer) RequireTransportSecurity() bool { return false } // loopback

// Credentials sends the stack's caller token with every call of a connection.
func (s *Stack) Credentials() credentials.PerRPCCredentials { return bearer{s.Token} }

// Dial connects to the gRPC listener as the caller of a token; as nobody with
// the zero one. The test closes the connection, or leaves it to its end.
func (s *Stack) Dial(token secret.String, more ...grpc.DialOption) *grpc.ClientConn {
	s.t.Helper()
	return s.DialTLS(token, nil, more...)
}

// DialTLS is Dial with a client certificate, for a stack with TLS. Nil: none.
func (s *Stack) DialTLS(token secret.String, cert *tls.Certificate, more ...grpc.DialOption) *grpc.ClientConn {
	s.t.Helper()
	options := append(more, grpc.WithTransportCredentials(s.transport(cert)))
	if !token.IsZero() {
		options = append(options, grpc.WithPerRPCCredentials(bearer{token}))
	}
	conn, err := grpc.NewClient(s.GRPCAddress, options...)
	if err != nil {
		s.t.Fatal(err)
	}
	return conn
}

func (s *Stack) transport(cert *tls.Certificate) credentials.TransportCredentials {
	s.t.Helper()
	switch {
	case s.Authority != nil:
		return credentials.NewTLS(s.Authority.ClientConfig(cert))
	case cert != nil:
		s.t.Fatal("vaulttest: a client certificate needs a stack with Config.TLS")
	}
	return insecure.NewCredentials()
}

// trusting returns what browsers connect with.
func (s *Stack) trusting() http.RoundTripper {
	if s.Authority == nil {
		return nil // http.DefaultTransport
	}
	transport := &http.Transport{TLSClientConfig: s.Authority.ClientConfig(nil), ForceAttemptHTTP2: true}
	s.t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// grpcTLS is the gRPC listener's, which asks for client certificates. Nil: plaintext.
func (s *Stack) grpcTLS() *tls.Config {
	s.t.Helper()
	if s.Authority == nil {
		return nil
	}
	c := s.Authority.ServerConfig(s.t)
	c.Certificates[0] = s.Authority.Server(s.t, ServerCert{SPIFFEID: s.config.SPIFFEID})
	c.ClientAuth, c.ClientCAs = tls.VerifyClientCertIfGiven, s.Authority.Pool
	return c
}

// webTLS is the browsers' listener's. Nil: plaintext.
func (s *Stack) webTLS() *tls.Config {
	s.t.Helper()
	if s.Authority == nil {
		return nil
	}
	c := s.Authority.ServerConfig(s.t)
	c.NextProtos = []string{"h2", "http/1.1"}
	return c
}
