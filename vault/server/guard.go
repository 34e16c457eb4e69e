package server

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/netlimit"
)

// guard stands before every handler of one server: it authenticates, authorises,
// turns errors into statuses, and puts them on record.
type guard struct {
	listener listener
	visits   *visits
	methods  map[string]method
	policy   *access.Policy
	vault    *vault.Vault // knows who is signed in in a browser
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
	if m.noted {
		ctx = withNote(ctx)
	}
	if m.waits {
		waiting, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(g.stopping, cancel)()
		ctx = waiting
	}
	resp, err := any(nil), error(nil)
	if ctx, err = g.authenticate(ctx, m); err == nil {
		err = g.decide(ctx, m, req)
	}
	if err == nil {
		resp, err = g.handle(ctx, req, handler)
	}
	if err != nil {
		resp, err = nil, g.status(ctx, info.FullMethod, req, err)
	}
	if auditErr := g.record.record(ctx, m, g.report.address(ctx), req, resp, err); auditErr != nil {
		return nil, g.report.status(ctx, info.FullMethod, req, auditErr)
	}
	return resp, err
}

// handle has the connection stay while a call is under way that is allowed. Those of
// strangers, and of callers whose calls are refused, make room for others first.
func (g guard) handle(ctx context.Context, req any, handler grpc.UnaryHandler) (any, error) {
	if caller := callerFrom(ctx); caller != nil {
		remote := remoteOf(ctx)
		netlimit.Enter(remote, caller.Name())
		defer netlimit.Leave(remote)
	}
	return handler(ctx, req)
}

// status is the reporter's, but for what gRPC's own services say: they have nothing
// to hide.
func (g guard) status(ctx context.Context, fullMethod string, req any, err error) error {
	if _, isStatus := status.FromError(err); isStatus && !g.methods[fullMethod].ours() {
		return err
	}
	return g.report.status(ctx, fullMethod, req, err)
}

// decide is the one place where it is decided whether a call may go on.
func (g guard) decide(ctx context.Context, m method, req any) error {
	if err := g.admit(ctx, m); err != nil {
		return err
	}
	if err := g.fixSubject(ctx, req); err != nil {
		return err
	}
	if !m.allowed(callerFrom(ctx), req) || !m.reached(personFrom(ctx), req) {
		return errForbidden
	}
	if m.ours() && m.name != "SignOut" { // better done without a record than not done
		return g.record.ready()
	}
	return nil
}

// admit decides whether the method may be called here by whoever is calling.
func (g guard) admit(ctx context.Context, m method) error {
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

// reached compares what a request does and names with what a person's sign-in reaches.
func (m method) reached(p *vault.Person, req any) bool {
	if m.who != person {
		return true
	}
	provider, hasProvider := req.(interface{ GetProvider() string })
	switch m.names {
	case nothing:
		return p != nil && !hasProvider
	case aProvider:
		return p != nil && hasProvider && p.MayUse(provider.GetProvider()) && p.MayCall(m.like)
	default:
		return false
	}
}

// allowed compares what a request names with what the caller may reach. Lists and
// watches may leave a name out: the engine then shows only what the caller may see.
func (m method) allowed(caller *access.Caller, req any) bool {
	if m.who != allowedCaller {
		return true // open to any caller, or a browser, which the engine checks
	}
	subject, hasSubject := req.(interface{ GetSubject() string })
	provider, hasProvider := req.(interface{ GetProvider() string })
	switch m.names {
	case nothing:
		return true
	case aConnection:
		return hasSubject && hasProvider && caller.MaySee(subject.GetSubject(), provider.GetProvider())
	case aSubject:
		return hasSubject && caller.MayUseSubject(subject.GetSubject())
	case aProvider:
		return hasProvider && caller.MayUseProvider(provider.GetProvider())
	case aFilter:
		return hasSubject && hasProvider &&
			(subject.GetSubject() == "" || caller.MayUseSubject(subject.GetSubject())) &&
			(provider.GetProvider() == "" || caller.MayUseProvider(provider.GetProvider()))
	default:
		return false
	}
}
