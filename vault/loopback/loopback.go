// Package loopback says which hosts are this machine itself: where plaintext will do, and
// where a listener is for this machine alone. All of the module asks it, so that there is
// one answer.
package loopback

import "net/netip"

// IsAddr reports whether a host is a loopback address: one of 127.0.0.0/8, or ::1 without
// brackets. An address with a zone is none. No name is one: it leads where a resolver
// says.
func IsAddr(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback() && addr.Zone() == ""
}

// IsHost is [IsAddr], and takes "localhost" too. That is this machine only by convention,
// which resolvers need not keep, but browsers do. A host of a URL is written without
// brackets, as url.URL.Hostname returns it.
func IsHost(host string) bool { return host == "localhost" || IsAddr(host) }
