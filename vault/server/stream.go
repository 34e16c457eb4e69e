package server

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/tokenvault/tokenvault/vault/netlimit"
)

// errStopping ends the streams that would otherwise go on for as long as their
// clients want.
var errStopping = errors.New("the server is stopping")

// stream guards calls with many messages. Each request is authorised as it comes
// in; gRPC's own services name no subject, so for them the method is all there is.
func (g guard) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	m := g.methods[info.FullMethod]
	ctx, err := g.authenticate(withCallID(ss.Context(), g.record.ids.next()), m)
	if err == nil {
		err = g.admit(ctx, m)
	}
	if err != nil {
		return g.decided(ctx, info.FullMethod, nil, err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(g.stopping, func() { cancel(errStopping) })()
	guarded := &guardedStream{ServerStream: ss, ctx: ctx, open: m.who == anyone}
	if m.who == allowedCaller {
		guarded.decide = func(req any) error {
			err := g.decided(ctx, info.FullMethod, req, g.decide(ctx, m, req))
			if err == nil && !guarded.begun {
				guarded.begun = true
				netlimit.Enter(remoteOf(ctx), callerFrom(ctx).Name())
			}
			return err
		}
	}
	defer func() {
		if guarded.begun {
			netlimit.Leave(remoteOf(ctx))
		}
	}()
	err = handler(srv, guarded)
	err = g.endOf(ctx, info.FullMethod, guarded.last, err)
	if !guarded.begun {
		return err
	}
	if auditErr := g.record.ended(ctx, m, g.report.address(ctx), guarded.last, err); auditErr != nil {
		return g.report.status(ctx, info.FullMethod, guarded.last, auditErr)
	}
	return err
}

// decided puts the decision about a request on record, and returns the status that
// it comes to.
func (g guard) decided(ctx context.Context, fullMethod string, req any, err error) error {
	if err != nil {
		err = g.report.status(ctx, fullMethod, req, err)
	}
	if auditErr := g.record.record(ctx, g.methods[fullMethod], g.report.address(ctx), req, nil, err); auditErr != nil {
		return g.report.status(ctx, fullMethod, req, auditErr)
	}
	return err
}

// endOf turns what a handler returned into a status.
func (g guard) endOf(ctx context.Context, method string, req any, err error) error {
	if err == nil {
		return nil
	}
	switch cause := context.Cause(ctx); {
	case cause == errStopping:
		return g.report.status(ctx, method, req, errStopping)
	case cause == errLongVisit:
		return status.Error(codes.Unavailable, "The stream has ended, since it came without a credential. Call again.")
	}
	if _, ok := status.FromError(err); ok {
		return err // gRPC's own, such as that the client has gone
	}
	return g.report.status(ctx, method, req, err)
}

// guardedStream authorises requests.
type guardedStream struct {
	grpc.ServerStream
	ctx   context.Context
	open  bool // anyone may be calling
	last  any  // the last request, for the log
	begun bool // a request was allowed, and is on record
	// decide decides about a request, and puts that on record. Nil: the method is
	// all there is to decide about.
	decide func(req any) error
}

// Context implements grpc.ServerStream.
func (s *guardedStream) Context() context.Context { return s.ctx }

// RecvMsg implements grpc.ServerStream.
func (s *guardedStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	if !s.open {
		messageCame(s.ctx)
	} else if request, ok := m.(proto.Message); ok && proto.Size(request) > maxOpenRequest {
		return status.Errorf(codes.InvalidArgument, "the request is longer than %d bytes", maxOpenRequest)
	} else {
		streamOpen(s.ctx)
	}
	if s.decide == nil {
		return nil
	}
	s.last = m
	return s.decide(m)
}
