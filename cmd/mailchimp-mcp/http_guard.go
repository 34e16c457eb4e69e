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
	bodies := &perPerson{most: maxBodies}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user := nameOf(auth.TokenInfoFromContext(r.Context()))
		if remote, ok := r.Context().Value(connectionKey{}).(net.Addr); ok && user != "" {
			netlimit.Enter(remote, user)
			defer netlimit.Leave(remote)
		}
		if r.Method != http.MethodPost {
			r.Body = http.NoBody
			next.ServeHTTP(w, r)
			return
		}
		size := sizeOf(r)
		if !bodies.take(user, size) {
			tooMany(w, "too much of what you have sent is under way")
			return
		}
		data, err := readBody(w, r)
		bodies.giveBack(user, size-int64(len(data)))
		defer bodies.giveBack(user, int64(len(data)))
		switch _, tooMuch := errors.AsType[*http.MaxBytesError](err); {
		case tooMuch:
			http.Error(w, "the request's body is too large", http.StatusRequestEntityTooLarge)
		case err != nil:
			http.Error(w, "the request's body has not come in time", http.StatusBadRequest)
		case bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")):
			http.Error(w, "send one message in each request: later revisions of MCP know no batches, and this server takes none", http.StatusBadRequest)
		default:
			r.Body = io.NopCloser(bytes.NewReader(data))
			next.ServeHTTP(w, r)
		}
	})
}

// sizeOf is how large a body may get.
func sizeOf(r *http.Request) int64 {
	if r.ContentLength < 0 {
		return maxBody
	}
	return min(r.ContentLength, maxBody)
}

// readBody reads the body as a whole, and for so long: a request that trickles in would
// hold a handler. http.Server's own ReadTimeout goes on while an answer is streamed, and
// would end that.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(bodyPatience)); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, err
	}
	return data, control.SetReadDeadline(time.Time{})
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
