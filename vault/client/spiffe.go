package client

import (
	"crypto/tls"
	"fmt"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// SPIFFESource has the program's X509-SVID, and the bundles to verify others' with. It
// has to be safe for concurrent use, and has them renewed. That of the SPIFFE Workload
// API is workloadapi.X509Source of github.com/spiffe/go-spiffe/v2.
type SPIFFESource interface {
	x509svid.Source
	x509bundle.Source
}

// WithSPIFFE has the client show an X509-SVID, by whose SPIFFE ID the vault knows it
// (spiffe_id of a caller), and talk to a vault alone that shows one too. Each connection
// has the SVID of when it begins, and ends before that does. It is TLS, on loopback too.
//
// vault is the vault's SPIFFE ID, such as "spiffe://example.org/tokenvault". With a trust
// domain alone, "spiffe://example.org", everybody in it is taken for the vault, if they
// can get themselves to its address.
//
//	source, err := workloadapi.NewX509Source(ctx) // at SPIFFE_ENDPOINT_SOCKET
//	defer source.Close()
//	vault, err := client.New(ctx, addr, client.WithSPIFFE(source, "spiffe://example.org/tokenvault"))
//
// JWT-SVIDs need none of this: spiffe-helper writes them to a file, for [WithTokenFile],
// and the vault knows them as any JWT (jwt of a caller).
func WithSPIFFE(source SPIFFESource, vault string) Option {
	return WithTLSConfig(func() (*tls.Config, error) {
		authorize, err := authorizeVault(vault)
		if err != nil {
			return nil, err
		}
		svid, err := source.GetX509SVID()
		if err != nil {
			return nil, fmt.Errorf("client: get the X509-SVID: %w", err)
		}
		c := tlsconfig.MTLSClientConfig(svid, source, authorize)
		c.Certificates = []tls.Certificate{{Leaf: svid.Certificates[0]}} // when it ends; what is shown is by GetClientCertificate
		return c, nil
	})
}

// authorizeVault returns who is taken for the vault.
func authorizeVault(vault string) (tlsconfig.Authorizer, error) {
	id, err := spiffeid.FromString(vault)
	switch {
	case err != nil:
		return nil, fmt.Errorf("client: the vault's SPIFFE ID %q: %w; write one such as spiffe://example.org/tokenvault", vault, err)
	case id.Path() == "":
		return tlsconfig.AuthorizeMemberOf(id.TrustDomain()), nil
	}
	return tlsconfig.AuthorizeID(id), nil
}
