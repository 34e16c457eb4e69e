package server

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// guard stands before every handler of one server: it authenticates, authorises,
// turns errors into statuses, and puts them on record.
type guard struct {
	listener listener
	limits   limits
	methods  map[string]method
	policy   *access.Policy
	report   reporter
	record   recorder
	// stopping ends when the server begins to stop.
	stopping context.Context
	// calls counts those with one answer.
	calls *underway
}

// unary guards calls with one request and one answer. What came of the call is on
// record before its answer leaves.
func (g guard) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	g.calls.enter()
	defer g.calls.leave()
	messageCame(ctx)
	m := g.methods[info.FullMethod]
	if m.who == browser {
		ctx = withNote(ctx)
	}
	resp, err := g.call(ctx, req, info, handler)
	if auditErr := g.record.record(ctx, m, g.report.address(ctx), req, resp, err); auditErr != nil {
		return nil, g.report.status(ctx, info.FullMethod, req, auditErr)
	}
	return resp, err
}

// call decides, and has the handler act. Its error is a status.
func (g guard) call(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	err := g.admit(ctx, info.FullMethod)
	if err == nil {
		err = authorize(ctx, req)
	}
	if err == nil && g.methods[info.FullMethod].ours() {
		err = g.record.ready()
	}
	if err != nil {
		return nil, g.report.status(ctx, info.FullMethod, req, err)
	}
	resp, err := handler(ctx, req)
	if _, isStatus := status.FromError(err); isStatus && !g.methods[info.FullMethod].ours() {
		return resp, err // gRPC's own services have nothing to hide
	}
	if err != nil {
		return nil, g.report.status(ctx, info.FullMethod, req, err)
	}
	return resp, nil
}

// admit decides whether the method may be called here by whoever is calling.
func (g guard) admit(ctx context.Context, fullMethod string) error {
	m := g.methods[fullMethod]
	if m.who == nobody || !m.servedOn(g.listener) {
		return errForbidden
	}
	if !m.needsCaller() {
		return nil
	}
	caller := callerFrom(ctx)
	if caller == nil {
		return errUnknownCaller
	}
	if m.who == allowedCaller && !caller.MayCall(m.name) {
		return errForbidden
	}
	return nil
}

// Refusals. Neither tells a caller what exists.
var (
	errUnknownCaller = errors.New("no caller has this credential")
	errForbidden     = errors.New("the caller's rules do not allow this")
)

// authenticate reads `authorization: Bearer <token>` (RFC 6750, section 2.1).
// Exactly one: with two, the next reader might believe the other.
func (g guard) authenticate(values []string) (*access.Caller, error) {
	if len(values) != 1 {
		return nil, errUnknownCaller
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return nil, errUnknownCaller
	}
	caller, err := g.policy.Authenticate(secret.New(token))
	if err != nil {
		return nil, errUnknownCaller
	}
	return caller, nil
}

type callerKey struct{}

// callerFrom returns the caller whose credential came with the call, or nil.
func callerFrom(ctx context.Context) *access.Caller {
	caller, _ := ctx.Value(callerKey{}).(*access.Caller)
	return caller
}

// authorize compares what a request names with what the caller may reach. Lists
// and watches may leave a name out: the engine then shows only what the caller may
// see.
func authorize(ctx context.Context, req any) error {
	caller := callerFrom(ctx)
	if caller == nil {
		return nil // open to anyone, or a browser, which the engine checks
	}
	subject, hasSubject := req.(interface{ GetSubject() string })
	provider, hasProvider := req.(interface{ GetProvider() string })
	optional := false
	switch req.(type) {
	case *tokenvaultv1.ListConnectionsRequest, *tokenvaultv1.WatchConnectionsRequest:
		optional = true
	case *tokenvaultv1.ListProvidersRequest, *tokenvaultv1.VerifyAuditRequest:
		return nil // name nothing; the former shows the providers that are the caller's
	}
	if !hasSubject && !hasProvider {
		return errForbidden // a request that names nothing needs a rule of its own
	}
	if hasSubject && (subject.GetSubject() != "" || !optional) && !caller.MayUseSubject(subject.GetSubject()) {
		return errForbidden
	}
	if hasProvider && (provider.GetProvider() != "" || !optional) && !caller.MayUseProvider(provider.GetProvider()) {
		return errForbidden
	}
	return nil
}
