package server

import (
	"context"
	"errors"
	"log/slog"

	"google.golang.org/grpc"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// A panic ends its own call and nothing else: gRPC would let it end the process,
// and print the value. A panic of a handler is caught inside the guard, so that the
// call is reported and on record like any that fails; one of the guard itself, around
// it.

// errPanicked is what a panic comes to. The log has a line about it already.
var errPanicked = errors.New("the call has panicked")

// calm calls f, and makes an error of a panic.
func (r reporter) calm(ctx context.Context, method string, f func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			r.log.LogAttrs(ctx, slog.LevelError, "a call has panicked: this is a fault of the vault's", slog.String("method", method), slog.String("panic", secret.DescribePanic(value)))
			err = errPanicked
		}
	}()
	return f()
}

// calmUnary stands between the guard and the handler.
func (g guard) calmUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	err = g.report.calm(ctx, info.FullMethod, func() (err error) {
		resp, err = handler(ctx, req)
		return err
	})
	return resp, err
}

func (g guard) calmStream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return g.report.calm(ss.Context(), info.FullMethod, func() error { return handler(srv, ss) })
}

// guardUnary is the guard, whose own panics are refusals.
func (g guard) guardUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	panicked := g.report.calm(ctx, info.FullMethod, func() error {
		resp, err = g.unary(ctx, req, info, handler)
		return nil
	})
	if panicked != nil {
		return nil, g.report.status(ctx, info.FullMethod, req, panicked)
	}
	return resp, err
}

func (g guard) guardStream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	panicked := g.report.calm(ss.Context(), info.FullMethod, func() error {
		err = g.stream(srv, ss, info, handler)
		return nil
	})
	if panicked != nil {
		return g.report.status(ss.Context(), info.FullMethod, nil, panicked)
	}
	return err
}
