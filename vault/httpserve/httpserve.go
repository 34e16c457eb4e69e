// Package httpserve has what the HTTP servers of the commands do alike: they bound their
// connections, end without cutting anybody off, and outlive a panic.
package httpserve

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/tokenvault/tokenvault/vault/netlimit"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// stopPatience is how long requests under way may take at the end.
const stopPatience = 10 * time.Second

// Serve serves until ctx ends, s is closed or lis fails, then waits a while for requests
// under way; what else waits, ends by http.Server.RegisterOnShutdown. It returns the
// error of a listener that fails. It closes lis. The connections of lis are bounded:
// where there are too many, the oldest that netlimit.Enter and Hold do not speak for
// makes room.
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
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// connectionKey leads to the address of a request's connection.
type connectionKey struct{}

// WithConnection is for http.Server.ConnContext: requests then know their connection.
func WithConnection(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, c.RemoteAddr())
}

// Connection is the name of a request's connection, for netlimit. Nil: it is not known.
func Connection(ctx context.Context) net.Addr {
	remote, _ := ctx.Value(connectionKey{}).(net.Addr)
	return remote
}

// RecoverPanics has a panic be logged and answered like any other fault; net/http would
// print its value, which may be anything of the request. whose names the program in the
// log.
func RecoverPanics(log *slog.Logger, whose string, answer http.HandlerFunc, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			value := recover()
			if value == nil {
				return
			}
			if value == http.ErrAbortHandler {
				panic(value) // means to close the connection, and is not logged
			}
			log.LogAttrs(r.Context(), slog.LevelError, "a request has panicked: this is a fault of "+whose, slog.String("method", r.Method), slog.String("panic", secret.DescribePanic(value)))
			answer(w, r)
		}()
		next.ServeHTTP(w, r)
	})
}
