package provider

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// Limits of what the vault says to providers.
const (
	// answerTime is how long a provider has for one answer, all in all. It is
	// shorter than what callers of GetCredentials usually wait.
	answerTime    = 30 * time.Second
	dialTime      = 10 * time.Second
	handshakeTime = 10 * time.Second
	idleTime      = 90 * time.Second
	maxIdle       = 4  // connections kept per host
	maxConns      = 32 // connections per host
	maxBody       = 1 << 20
	maxHeader     = 64 << 10
	maxRedirects  = 3
)

// userAgent names the vault to providers.
const userAgent = "tokenvault"

// newDialer returns what dials a provider. It looks at the address it is about to
// dial, after the name was resolved, so that a name cannot lead into the private
// network.
func newDialer(allowPrivate bool) *net.Dialer {
	dialer := &net.Dialer{Timeout: dialTime}
	if !allowPrivate {
		dialer.ControlContext = refusePrivate
	}
	return dialer
}

// newTransport returns the transport for a provider. It goes straight to the
// provider: a proxy from the environment would see every secret.
func newTransport(dialer *net.Dialer) *http.Transport {
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    handshakeTime,
		ResponseHeaderTimeout:  answerTime,
		IdleConnTimeout:        idleTime,
		MaxIdleConnsPerHost:    maxIdle,
		MaxConnsPerHost:        maxConns,
		MaxResponseHeaderBytes: maxHeader,
		ForceAttemptHTTP2:      true,
	}
}

// errPrivateAddress says that a name led to an address that is not public.
var errPrivateAddress = errors.New("the address is not a public one; set allow_private_network: true if that is meant")

func refusePrivate(_ context.Context, _, address string, _ syscall.RawConn) error {
	host, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address to dial: %w", err)
	}
	if !isPublic(host.Addr()) {
		return errPrivateAddress
	}
	return nil
}

// isPublic reports whether an address belongs to the public Internet (IANA's
// special-purpose registries). Addresses that carry an IPv4 address inside are
// judged by that too.
func isPublic(addr netip.Addr) bool {
	addr = addr.WithZone("").Unmap()
	if !addr.IsGlobalUnicast() || addr.IsPrivate() {
		return false
	}
	for _, special := range specialNetworks() {
		if special.Contains(addr) {
			return false
		}
	}
	return true
}

func specialNetworks() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),       // this network
		netip.MustParsePrefix("100.64.0.0/10"),   // carrier-grade NAT (RFC 6598)
		netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
		netip.MustParsePrefix("192.0.2.0/24"),    // documentation
		netip.MustParsePrefix("192.88.99.0/24"),  // 6to4 relays
		netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks
		netip.MustParsePrefix("198.51.100.0/24"), // documentation
		netip.MustParsePrefix("203.0.113.0/24"),  // documentation
		netip.MustParsePrefix("240.0.0.0/4"),     // reserved
		netip.MustParsePrefix("::/96"),           // IPv4-compatible
		netip.MustParsePrefix("64:ff9b::/96"),    // NAT64
		netip.MustParsePrefix("64:ff9b:1::/48"),  // local NAT64
		netip.MustParsePrefix("100::/64"),        // discard
		netip.MustParsePrefix("2001::/23"),       // protocol assignments, Teredo
		netip.MustParsePrefix("2001:db8::/32"),   // documentation
		netip.MustParsePrefix("2002::/16"),       // 6to4
		netip.MustParsePrefix("3fff::/20"),       // documentation
		netip.MustParsePrefix("fec0::/10"),       // site-local
	}
}

// noRedirects has a client return a redirect instead of following it: what a
// token endpoint is sent is for that endpoint alone.
func noRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// agent adds the user agent to every request, and takes no answer in another protocol.
type agent struct{ next http.RoundTripper }

func (a agent) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("User-Agent", userAgent)
	resp, err := a.next.RoundTrip(req)
	if err == nil && resp.StatusCode == http.StatusSwitchingProtocols {
		// What follows is the connection itself, and no deadline ends a read of that.
		_ = resp.Body.Close()
		return nil, errSwitched
	}
	return resp, err
}

// errSwitched says that an answer is no HTTP.
var errSwitched = errors.New("the answer switches to another protocol, which nobody has asked for")
