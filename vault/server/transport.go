package server

import (
	"crypto/tls"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/tokenvault/tokenvault/vault/access"
)

// transport secures a listener; not at all where there is nothing to do it with.
func transport(c *tls.Config) credentials.TransportCredentials {
	if c == nil {
		return insecure.NewCredentials()
	}
	return identifying{credentials.NewTLS(c)}
}

// identifying adds to each connection whom its client's certificate names: it is
// read once, not with every call.
type identifying struct {
	credentials.TransportCredentials
}

// identity is what is known of a connection's other end.
type identity struct {
	credentials.TLSInfo
	certificate *access.Certificate // nil: it has shown none
}

// ServerHandshake implements credentials.TransportCredentials.
func (c identifying) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := c.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		return nil, nil, err
	}
	tlsInfo, ok := info.(credentials.TLSInfo)
	if !ok {
		return conn, info, nil
	}
	found := identity{TLSInfo: tlsInfo}
	if chains := tlsInfo.State.VerifiedChains; len(chains) > 0 {
		found.certificate = access.ReadCertificate(chains[0][0])
	}
	return conn, found, nil
}

// Clone implements credentials.TransportCredentials.
func (c identifying) Clone() credentials.TransportCredentials {
	return identifying{c.TransportCredentials.Clone()}
}
