package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"

	"github.com/tokenvault/tokenvault/vault/netlimit"
)

// Limits of one connection. How many there are is netlimit's.
const (
	headerPatience = 10 * time.Second
	readPatience   = 30 * time.Second
	writePatience  = 2 * time.Minute // a callback may wait for the provider
	idlePatience   = 2 * time.Minute
	stopPatience   = 10 * time.Second
	maxHeader      = 16 << 10 // bytes, as for gRPC
)

// NewServer returns a server for a gateway's handler, for Serve. It bounds what one
// connection can take. tlsConfig nil: there is no TLS. log nil: nothing is logged.
func NewServer(handler http.Handler, tlsConfig *tls.Config, log *slog.Logger) *http.Server {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &http.Server{
		Handler:           handler,
		TLSConfig:         tlsConfig,
		ConnContext:       withConnection,
		ReadHeaderTimeout: headerPatience,
		ReadTimeout:       readPatience,
		WriteTimeout:      writePatience,
		IdleTimeout:       idlePatience,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// Serve serves until ctx ends, s is closed or lis fails, then waits a while for requests
// under way. It returns the error of a listener that fails. It closes lis. The
// connections of lis are bounded: where there are too many, the oldest without a
// request that the vault is working on makes room.
func Serve(ctx context.Context, s *http.Server, lis net.Listener) error {
	lis = netlimit.Listen(lis, netlimit.Bound(), netlimit.Allowance{}) // http.Server bounds each request
	failed := make(chan error, 1)
	go func() {
		if s.TLSConfig != nil {
			failed <- s.ServeTLS(lis, "", "")
			return
		}
		failed <- s.Serve(lis)
	}()
	select {
	case err := <-failed:
		failed <- err // once requests under way have ended, too
	case <-ctx.Done():
	}
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
	defer cancel()
	if err := s.Shutdown(patience); err != nil {
		err = errors.Join(err, s.Close())
		if s.ErrorLog != nil {
			s.ErrorLog.Printf("requests were still under way at the end, and were cut off: %v", err)
		}
	}
	return serveError(<-failed)
}

// serveError is why a server has ended, unless it was closed.
func serveError(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// connectionKey leads to the address of a request's connection.
type connectionKey struct{}

func withConnection(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, c.RemoteAddr())
}

// holding has the connection of a request stay while the vault works on it. That
// bytes come is no reason: a request that trickles in, or whose answer is not
// read, is what a flood is made of.
type holding struct{ grpc.ClientConnInterface }

// Invoke implements grpc.ClientConnInterface.
func (h holding) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	remote, _ := ctx.Value(connectionKey{}).(net.Addr)
	defer netlimit.Hold(remote)()
	return h.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
}
