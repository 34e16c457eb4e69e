package gateway

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"time"

	"google.golang.org/grpc"

	"github.com/tokenvault/tokenvault/vault/httpserve"
	"github.com/tokenvault/tokenvault/vault/netlimit"
)

// Limits of one connection. How many there are is netlimit's.
const (
	headerPatience = 10 * time.Second
	readPatience   = 30 * time.Second
	writePatience  = 2 * time.Minute // a callback may wait for the provider
	idlePatience   = 2 * time.Minute
	maxHeader      = 16 << 10 // bytes, as for gRPC
)

// NewServer returns a server for a gateway's handler, for httpserve.Serve. It bounds what one
// connection can take. tlsConfig nil: there is no TLS. log nil: nothing is logged.
func NewServer(handler http.Handler, tlsConfig *tls.Config, log *slog.Logger) *http.Server {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &http.Server{
		Handler:           handler,
		TLSConfig:         tlsConfig,
		ConnContext:       httpserve.WithConnection,
		ReadHeaderTimeout: headerPatience,
		ReadTimeout:       readPatience,
		WriteTimeout:      writePatience,
		IdleTimeout:       idlePatience,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// holding has the connection of a request stay while the vault works on it. That
// bytes come is no reason: a request that trickles in, or whose answer is not
// read, is what a flood is made of.
type holding struct{ grpc.ClientConnInterface }

// Invoke implements grpc.ClientConnInterface.
func (h holding) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	defer netlimit.Hold(httpserve.Connection(ctx))()
	return h.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
}
