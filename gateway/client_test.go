package gateway_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/gateway"
)

const addressKey = "client-address"

// asked has a gateway with trusted proxies asked from an address.
func asked(g http.Handler, target, peer string, forwarded ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.RemoteAddr = peer
	r.Header["X-Forwarded-For"] = forwarded
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	return w
}

func trusting(c *gateway.Config) {
	c.ClientAddressKey = addressKey
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
}

func TestTheClientsAddressIsThatBeforeTheTrustedProxies(t *testing.T) {
	g, srv := newGateway(t, "https://connect.example.com", trusting)
	for _, row := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"no proxy", "192.0.2.1:50", nil, "192.0.2.1:50"},
		{"a stranger's word", "192.0.2.1:50", []string{"203.0.113.7"}, "192.0.2.1:50"},
		{"a proxy's word", "10.0.0.1:50", []string{"203.0.113.7"}, "203.0.113.7"},
		{"a proxy's word over IPv6", "[fd00::1]:50", []string{"2001:db8::1"}, "2001:db8::1"},
		{"a proxy's word over IPv4 in IPv6", "[::ffff:10.0.0.1]:50", []string{"203.0.113.7"}, "203.0.113.7"},
		{"a proxy without a word", "10.0.0.1:50", nil, "10.0.0.1:50"},
		{"an empty word", "10.0.0.1:50", []string{""}, "10.0.0.1:50"},
		{"what the client made up stands before", "10.0.0.1:50", []string{"1.2.3.4, 203.0.113.7"}, "203.0.113.7"},
		{"a proxy before a proxy", "10.0.0.1:50", []string{"1.2.3.4,203.0.113.7 ,10.9.9.9"}, "203.0.113.7"},
		{"a proxy's address made up by the client", "10.0.0.1:50", []string{"10.1.1.1, 203.0.113.7"}, "203.0.113.7"},
		{"a header for each proxy", "10.0.0.1:50", []string{"1.2.3.4", "203.0.113.7", "10.9.9.9"}, "203.0.113.7"},
		{"proxies alone", "10.0.0.1:50", []string{"10.2.2.2, 10.3.3.3"}, "10.2.2.2"},
		{"with the port", "10.0.0.1:50", []string{"203.0.113.7:4711"}, "203.0.113.7"},
		{"with the port, IPv6", "10.0.0.1:50", []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		{"no address", "10.0.0.1:50", []string{"203.0.113.7, unknown"}, "10.0.0.1:50"},
		{"no address behind a proxy", "10.0.0.1:50", []string{"203.0.113.7, evil, 10.9.9.9"}, "10.9.9.9"},
		{"a zone", "10.0.0.1:50", []string{"fe80::1%evil text"}, "10.0.0.1:50"},
		{"nothing between commas", "10.0.0.1:50", []string{"203.0.113.7, ,"}, "10.0.0.1:50"},
		{"no peer", "@", []string{"203.0.113.7"}, "@"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if w := asked(g, "/v1/connections", row.peer, row.forwarded...); w.Code != http.StatusOK {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			if got := strings.Join(srv.metadata.Get(addressKey), " and "); got != row.want {
				t.Errorf("address = %q, want %q", got, row.want)
			}
		})
	}
}

func TestBrowsersOfOneAddressAreBounded(t *testing.T) {
	var log bytes.Buffer
	g, srv := newGateway(t, "https://connect.example.com", trusting, func(c *gateway.Config) {
		c.BrowserRate, c.BrowserBurst, c.Logger = 0.001, 3, slog.New(slog.NewTextHandler(&log, nil))
	})
	const link = "/oauth/acme/authorize?session=x"
	for range 3 {
		if w := asked(g, link, "192.0.2.1:50"); w.Code != http.StatusFound {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
	}
	calls := srv.calls
	for _, target := range []string{link, "/oauth/acme/callback?state=x", "/oauth/else", "/%6fauth/acme/authorize?session=x"} {
		w := asked(g, target, "192.0.2.1:51", "203.0.113.7")
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1000" || w.Header().Get("Cache-Control") != "no-store" ||
			!strings.Contains(w.Body.String(), "Wait 1000 seconds, then load this page again.") {
			t.Errorf("%s: status %d, Retry-After %q: %s", target, w.Code, w.Header().Get("Retry-After"), w.Body)
		}
	}
	if srv.calls != calls {
		t.Error("the server was asked all the same")
	}
	if got := strings.Count(log.String(), "too many requests from one address"); got != 1 || !strings.Contains(log.String(), "peer=192.0.2.1:5") || !strings.Contains(log.String(), "add it to trusted_proxies") {
		t.Errorf("logged %d times, want once, with the address and a hint:\n%s", got, log.String())
	}
	for _, row := range []struct {
		name, target, peer string
		forwarded          []string
		want               int
	}{
		{"another address", link, "192.0.2.2:50", nil, http.StatusFound},
		{"a proxy's client", link, "10.0.0.1:50", []string{"203.0.113.7"}, http.StatusFound},
		{"the same behind a proxy", link, "10.0.0.1:50", []string{"192.0.2.1"}, http.StatusTooManyRequests},
		{"the API", "/v1/connections", "192.0.2.1:50", nil, http.StatusOK},
		{"the pages' files", "/static/style.css", "192.0.2.1:50", nil, http.StatusOK},
	} {
		if w := asked(g, row.target, row.peer, row.forwarded...); w.Code != row.want {
			t.Errorf("%s: status %d, want %d", row.name, w.Code, row.want)
		}
	}
}
