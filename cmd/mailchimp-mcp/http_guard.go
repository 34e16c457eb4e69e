package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"

	"github.com/tokenvault/tokenvault/vault/loopback"
	"github.com/tokenvault/tokenvault/vault/netlimit"
)

// Bounds of one request.
const (
	maxBody      = 1 << 20 // bytes
	bodyPatience = 30 * time.Second
)

// fromBrowsers refuses what a page in a browser may send without its user's wish: pages
// of other origins, and those whose host name was made to lead to this machine (DNS
// rebinding). MCP asks for both. origin is where clients reach the server; empty: no page
// may.
func fromBrowsers(origin string, next http.Handler) http.Handler {
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

// connectionKey leads to the address of a request's connection.
type connectionKey struct{}

func withConnection(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, c.RemoteAddr())
}

// forKnown is for requests of people who have shown who they are: their connections stay
// where others make room, and they may send a body.
func forKnown(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if remote, ok := r.Context().Value(connectionKey{}).(net.Addr); ok {
			if info := auth.TokenInfoFromContext(r.Context()); info != nil {
				netlimit.Enter(remote, info.UserID)
				defer netlimit.Leave(remote)
			}
		}
		if err := readBody(w, r); err != nil {
			status := http.StatusBadRequest
			if _, tooMuch := errors.AsType[*http.MaxBytesError](err); tooMuch {
				status = http.StatusRequestEntityTooLarge
			}
			http.Error(w, "the request's body is too large, or has not come in time", status)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// readBody reads the body as a whole, and for so long: a request that trickles in would
// hold a handler. http.Server's own ReadTimeout goes on while an answer is streamed, and
// would end that.
func readBody(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		r.Body = http.NoBody
		return nil
	}
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(bodyPatience)); err != nil {
		return err
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(data))
	return control.SetReadDeadline(time.Time{})
}

// streams ends the streams that wait for messages (GET) when the server stops, and when
// the token that began them does.
func streams(stopping context.Context, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			next.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(stopping, cancel)()
		if info := auth.TokenInfoFromContext(ctx); info != nil && !info.Expiration.IsZero() {
			var end context.CancelFunc
			ctx, end = context.WithDeadline(ctx, info.Expiration)
			defer end()
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}
