package main

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/tokenvault/tokenvault/vault/loopback"
)

// refuseForeignPages refuses what a page in a browser may send without its user's wish: pages
// of other origins, and those whose host name was made to lead to this machine (DNS
// rebinding). MCP asks for both. origin is where clients reach the server; empty: no page
// may.
func refuseForeignPages(origin string, next http.Handler) http.Handler {
	public := ""
	if u, err := url.Parse(origin); err == nil {
		public = u.Hostname()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if from := r.Header.Values("Origin"); len(from) > 0 && (len(from) > 1 || origin == "" || !strings.EqualFold(from[0], origin)) {
			http.Error(w, "pages of other origins may not call this server", http.StatusForbidden)
			return
		}
		if host := hostName(r.Host); cameOverLoopback(r) && !loopback.IsHost(host) && (public == "" || !strings.EqualFold(host, public)) {
			http.Error(w, "the Host header names another server: see --public-url", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func hostName(hostPort string) string {
	if host, _, err := net.SplitHostPort(hostPort); err == nil {
		return host
	}
	return strings.Trim(hostPort, "[]")
}

func cameOverLoopback(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	host, _, err := net.SplitHostPort(local.String())
	return err == nil && loopback.IsHost(host)
}
