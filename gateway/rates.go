package gateway

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// What one address may ask of the browser's paths. Connecting an account takes two
// requests: an office behind one address can have fifty people do so at the same
// moment, and 150 each minute.
const (
	defaultBrowserRate  rate.Limit = 5 // a second
	defaultBrowserBurst int        = 100
)

// siteFactor is how much more a site may ask, all of its networks together: of IPv6,
// anybody can have one with 65,536 networks.
const siteFactor = 10

// maxAddresses is how many addresses one generation of rates knows: some MiB.
const maxAddresses = 8 << 10

// rates count requests by address. It is safe for concurrent use. Addresses that
// have not been seen for long are forgotten: when the younger generation is full, it
// becomes the elder, and what was the elder is dropped.
type rates struct {
	limit rate.Limit
	burst int

	mu             sync.Mutex
	younger, elder map[netip.Prefix]*rate.Limiter
}

func newRates(limit rate.Limit, burst int) *rates {
	if limit == 0 {
		limit = defaultBrowserRate
	}
	if burst == 0 {
		burst = defaultBrowserBurst
	}
	return &rates{limit: limit, burst: burst, younger: map[netip.Prefix]*rate.Limiter{}}
}

// take counts a request. wait is 0, or how long the address has to wait; then it is
// not counted.
func (r *rates) take(addr netip.Addr, now time.Time) (wait time.Duration) {
	network, site := networks(addr)
	all := []*rate.Reservation{r.of(network, 1).ReserveN(now, 1)}
	if site != network {
		all = append(all, r.of(site, siteFactor).ReserveN(now, 1))
	}
	for _, reservation := range all {
		wait = max(wait, reservation.DelayFrom(now))
	}
	if wait > 0 {
		for _, reservation := range all {
			reservation.CancelAt(now)
		}
	}
	return wait
}

// of returns the limiter of a network, which is that of so many addresses.
func (r *rates) of(network netip.Prefix, factor int) *rate.Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	if limiter, ok := r.younger[network]; ok {
		return limiter
	}
	limiter, ok := r.elder[network]
	if !ok {
		limiter = rate.NewLimiter(r.limit*rate.Limit(factor), r.burst*factor)
	}
	if len(r.younger) >= maxAddresses {
		r.elder, r.younger = r.younger, map[netip.Prefix]*rate.Limiter{}
	}
	r.younger[network] = limiter
	return limiter
}

// networks are what counts as one address: of IPv6, the 64 bits of one network, in
// which a machine has as many addresses as it likes, and the 48 of a site, which has
// as many networks. Of IPv4, it is the address.
func networks(addr netip.Addr) (network, site netip.Prefix) {
	addr = addr.WithZone("")
	if !addr.Is6() {
		network = netip.PrefixFrom(addr, addr.BitLen())
		return network, network
	}
	return netip.PrefixFrom(addr, 64).Masked(), netip.PrefixFrom(addr, 48).Masked()
}

// limited bounds how often one address comes to the browser's paths.
func (g *gateway) limited(next http.Handler) http.Handler {
	telling := rate.Sometimes{First: 1, Interval: time.Minute}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := clientOf(r.Context())
		wait := time.Duration(0)
		if isForBrowsers(r) {
			wait = g.rates.take(from.addr, time.Now())
		}
		if wait == 0 {
			next.ServeHTTP(w, r)
			return
		}
		telling.Do(func() { g.tellLimited(r, from) })
		seconds := int((wait + time.Second - 1) / time.Second)
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
		g.pages.write(w, http.StatusTooManyRequests, limitedPage(seconds))
	})
}

// tellLimited tells the operator, and what may be the matter: behind a proxy that
// is not trusted, all browsers are one.
func (g *gateway) tellLimited(r *http.Request, from client) {
	attrs := []slog.Attr{slog.String("peer", from.text)}
	if r.Header.Get("X-Forwarded-For") != "" && !g.proxies.include(from.addr) {
		attrs = append(attrs, slog.String("hint", "requests from this address carry X-Forwarded-For: if it is your proxy's, add it to trusted_proxies"))
	}
	g.log.LogAttrs(r.Context(), slog.LevelWarn, "browsers refused: too many requests from one address", attrs...)
}

func limitedPage(seconds int) page {
	wait := "Wait a moment"
	if seconds > 1 {
		wait = fmt.Sprintf("Wait %d seconds", seconds)
	}
	return page{
		Title:  "Too many requests",
		Text:   []string{"Many requests have come from your network in a short time. Nothing is lost.", wait + ", then load this page again."},
		Failed: true,
	}
}
