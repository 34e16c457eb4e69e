package gateway

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
)

// client is where a request came from.
type client struct {
	// text is the address for people: with the port where it is known.
	text string
	// addr is the zero one where the address is not one of the internet's.
	addr netip.Addr
}

type clientKey struct{}

// clientOf returns where a request came from, once located has seen it.
func clientOf(ctx context.Context) client {
	c, _ := ctx.Value(clientKey{}).(client)
	return c
}

// located finds out where requests come from, for those that come after.
func (g *gateway) located(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), clientKey{}, g.proxies.client(r))))
	})
}

// proxies are those whose word on where a request came from is taken.
type proxies []netip.Prefix

func (p proxies) include(addr netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// client is the other end of the connection. Where that is a trusted proxy, it is
// the last address in X-Forwarded-For that is not: each proxy writes its client at
// the end, and what stands before may be anybody's invention.
func (p proxies) client(r *http.Request) client {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return client{text: r.RemoteAddr}
	}
	c := client{text: r.RemoteAddr, addr: peer.Addr().Unmap()}
	left := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	for left != "" && p.include(c.addr) {
		entry := left
		if i := strings.LastIndexByte(left, ','); i >= 0 {
			left, entry = left[:i], left[i+1:]
		} else {
			left = ""
		}
		addr, ok := forwarded(strings.TrimSpace(entry))
		if !ok {
			break
		}
		c = client{text: addr.String(), addr: addr}
	}
	return c
}

// forwarded reads an address, which some proxies write with the port. A zone could
// hold any text, and means nothing here.
func forwarded(entry string) (addr netip.Addr, ok bool) {
	addr, err := netip.ParseAddr(entry)
	if err != nil {
		withPort, err := netip.ParseAddrPort(entry)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = withPort.Addr()
	}
	return addr.Unmap(), addr.Zone() == ""
}
