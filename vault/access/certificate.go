package access

import (
	"context"
	"crypto/x509"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// Certificate is whom a client's certificate names. It is immutable and safe for
// concurrent use.
type Certificate struct {
	spiffeID string
	dnsNames []string // lower case; only where there is no SPIFFE ID
	notAfter time.Time
}

// ReadCertificate reads whom a certificate names, which somebody else has to have
// verified: the SPIFFE ID in its URI SAN, or where it has no URI SAN its DNS names.
// A URI SAN that is no SPIFFE ID, and a certificate of an authority, name nobody
// (SPIFFE X.509-SVID, sections 2 and 4).
func ReadCertificate(leaf *x509.Certificate) *Certificate {
	c := &Certificate{notAfter: leaf.NotAfter}
	if leaf.IsCA {
		return c
	}
	if len(leaf.URIs) > 0 {
		if id, err := x509svid.IDFromCert(leaf); err == nil {
			c.spiffeID = id.String()
		}
		return c
	}
	for _, name := range leaf.DNSNames {
		c.dnsNames = append(c.dnsNames, strings.ToLower(name))
	}
	return c
}

// CheckSPIFFEID reports what is wrong with a SPIFFE ID as a configuration writes
// it.
func CheckSPIFFEID(id string) error {
	_, err := spiffeid.FromString(id)
	return err
}

// certificates knows callers by what their certificates name.
type certificates struct {
	spiffeIDs, dnsNames map[string]*Caller
	now                 func() time.Time
}

var _ authenticator = (*certificates)(nil)

func newCertificates(now func() time.Time) *certificates {
	return &certificates{spiffeIDs: map[string]*Caller{}, dnsNames: map[string]*Caller{}, now: now}
}

func (c *certificates) add(rule Rule, caller *Caller) error {
	if rule.SPIFFEID != "" {
		id, err := spiffeid.FromString(rule.SPIFFEID)
		if err != nil {
			return err
		}
		if err := addCaller(c.spiffeIDs, id.String(), caller, "SPIFFE ID"); err != nil {
			return err
		}
	}
	if rule.DNSName != "" {
		return addCaller(c.dnsNames, strings.ToLower(rule.DNSName), caller, "DNS name")
	}
	return nil
}

// Recall implements authenticator. A certificate may end while its connection goes
// on, and then names nobody any more. One whose DNS names are those of several
// callers names none of them.
func (c *certificates) Recall(shown Presented) *Caller {
	cert := shown.Certificate
	if cert == nil || c.now().After(cert.notAfter) {
		return nil
	}
	if cert.spiffeID != "" {
		return c.spiffeIDs[cert.spiffeID]
	}
	var found *Caller
	for _, name := range cert.dnsNames {
		caller := c.dnsNames[name]
		if caller != nil && found != nil && caller != found {
			return nil
		}
		if caller != nil {
			found = caller
		}
	}
	return found
}

// Authenticate implements authenticator.
func (c *certificates) Authenticate(_ context.Context, shown Presented) (*Caller, error) {
	return c.Recall(shown), nil
}
