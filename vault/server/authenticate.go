package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/tap"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/netlimit"
	"github.com/tokenvault/tokenvault/vault/secret"
)

type callerKey struct{}

// callerFrom returns the caller whose credential came with the call, or nil.
func callerFrom(ctx context.Context) *access.Caller {
	caller, _ := ctx.Value(callerKey{}).(*access.Caller)
	return caller
}

func withCaller(ctx context.Context, caller *access.Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, caller)
}

type personKey struct{}

// personFrom returns who is signed in in the browser that calls, or nil.
func personFrom(ctx context.Context) *vault.Person {
	p, _ := ctx.Value(personKey{}).(*vault.Person)
	return p
}

// meet is the first that sees a call: its headers have come, its request has not.
// Whoever is not known at once gets only so much time to send the request. It must
// not wait, since the connection's other calls would wait with it. It must not
// refuse: gRPC would then forget to end the call's timer, which the peer can set to
// a hundred thousand years (the grpc-timeout header).
func (g guard) meet(ctx context.Context, info *tap.Info) (context.Context, error) {
	if g.methods[info.FullMethodName].needsCaller() {
		if caller := g.policy.Recall(presented(ctx, info.Header["authorization"])); caller != nil {
			return withCaller(ctx, caller), nil
		}
	}
	return g.visits.begin(ctx, info.Header), nil
}

// authenticate finds out who is calling, where meet has not: it may take asking the
// issuer of a token.
func (g guard) authenticate(ctx context.Context, m method) (context.Context, error) {
	if m.who == person && m.servedOn(g.listener) {
		p, err := g.vault.Person(ctx, cookie(ctx, SignInCookieKey))
		if err != nil {
			return ctx, err
		}
		return context.WithValue(ctx, personKey{}, &p), nil
	}
	if !m.needsCaller() || callerFrom(ctx) != nil {
		return ctx, nil
	}
	defer netlimit.Hold(remoteOf(ctx))() // whoever it turns out to be, meanwhile: few wait for an issuer
	caller, err := g.policy.Authenticate(ctx, presented(ctx, metadata.ValueFromIncomingContext(ctx, "authorization")))
	switch {
	case err == nil:
		return withCaller(ctx, caller), nil
	case errors.Is(err, access.ErrUnknown):
		return ctx, fmt.Errorf("%w: %w", errUnknownCaller, err)
	default:
		return ctx, err
	}
}

// remoteOf returns the address of a call's connection, or nil.
func remoteOf(ctx context.Context) net.Addr {
	if p, ok := peer.FromContext(ctx); ok {
		return p.Addr
	}
	return nil
}

// presented gathers what a call shows of its caller: a client certificate, and
// `authorization: Bearer <token>` (RFC 6750, section 2.1). Exactly one of the
// latter: with two, the next reader might believe the other.
func presented(ctx context.Context, authorization []string) access.Presented {
	var shown access.Presented
	if p, ok := peer.FromContext(ctx); ok {
		if of, ok := p.AuthInfo.(identity); ok {
			shown.Certificate = of.certificate
		}
	}
	if len(authorization) != 1 {
		return shown
	}
	if scheme, token, ok := strings.Cut(authorization[0], " "); ok && strings.EqualFold(scheme, "Bearer") {
		shown.Bearer = secret.New(token)
	}
	return shown
}
