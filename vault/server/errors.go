package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/access"
)

// errorDomain is the domain of every google.rpc.ErrorInfo.
const errorDomain = "tokenvault"

// codeOf is the gRPC code of each reason.
func codeOf(reason vault.Reason) codes.Code {
	switch reason {
	case vault.NotConnected, vault.ProviderUnknown:
		return codes.NotFound
	case vault.ProviderUnavailable:
		return codes.Unavailable
	case vault.ReauthorizationRequired, vault.ProviderMisconfigured, vault.SessionExpired, vault.SessionUsed,
		vault.AuthorizationFailed, vault.AccountMismatch, vault.ScopesMissing, vault.NotRefreshable,
		vault.SignInFailed, vault.GrantNotSupported, vault.APIKeyNotSupported, vault.TokenRefused:
		return codes.FailedPrecondition
	case vault.SignInRequired:
		return codes.Unauthenticated
	case vault.ResumeTokenExpired:
		return codes.OutOfRange
	case vault.AccessDenied, vault.BrowserUnknown, vault.SessionWrongSubject:
		return codes.PermissionDenied
	case vault.InvalidSubject, vault.InvalidProvider, vault.InvalidLabel, vault.InvalidScopes, vault.InvalidReturnURL,
		vault.InvalidLoginHint, vault.InvalidPageSize, vault.InvalidPageToken, vault.InvalidStatus,
		vault.InvalidMinTTL, vault.InvalidSubjectToken, vault.InvalidRequiredScopes, vault.InvalidResumeToken,
		vault.InvalidParams, vault.InvalidAPIKey, vault.InvalidClientSecret, vault.InvalidGrace, vault.InvalidConnectGrant,
		vault.InvalidConfirmation:
		return codes.InvalidArgument
	default:
		return codes.Internal
	}
}

// reporter turns errors into statuses, and logs what callers are not told.
type reporter struct {
	log *slog.Logger
	// listener is the one whose calls it reports.
	listener listener
	// lines bound those of strangers. Nil: all are written.
	lines *lineBounds
}

// ClientAddressKey is the metadata key under which the gateway passes on the
// address of its client. Nobody else is believed.
const ClientAddressKey = "tokenvault-client-address"

// address returns where a call came from, for the log.
func (r reporter) address(ctx context.Context) string {
	if r.listener == gatewayListener {
		if values := metadata.ValueFromIncomingContext(ctx, ClientAddressKey); len(values) == 1 {
			return values[0]
		}
	}
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ""
	}
	return p.Addr.String()
}

// status is the one way from an error to what a caller is told: never nil. The
// cause goes to the log only.
func (r reporter) status(ctx context.Context, method string, req any, err error) error {
	st, reason := translate(ctx, err)
	attrs := namesOf(ctx, req)
	level := levelOf(st.Code(), reason)
	if st.Code() == codes.Internal {
		id := errorID()
		attrs = append(attrs, slog.String("error_id", id))
		st = newStatus(codes.Internal, reason, fmt.Sprintf("Something went wrong inside the vault. Its operator finds the cause in the log under error_id %s.", id))
	}
	r.failure(ctx, level, method, reason, err, attrs...)
	leaveToCaller(ctx, err)
	return st.Err()
}

// leaveToCaller has a client's gRPC not try again by itself, within a second or so, what
// is worth trying only after RetryInfo's pause (gRPC proposal A6: pushback). Callers do
// that, who know how much time they have.
func leaveToCaller(ctx context.Context, err error) {
	var e *vault.Error
	if errors.As(err, &e) && e.RetryAfter > 0 {
		_ = grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", "-1")) // fails outside calls alone
	}
}

// levelOf is how loud a failure is: debug for what is a part of everyday use, warn
// for what an operator may have to see to.
func levelOf(code codes.Code, reason string) slog.Level {
	switch reason {
	case string(vault.NotConnected), string(vault.SignInRequired), "CALLER_GONE":
		return slog.LevelDebug
	case string(vault.AccessDenied): // by the person
		return slog.LevelInfo
	case string(vault.ProviderMisconfigured), string(vault.SignInFailed):
		return slog.LevelWarn
	}
	switch code {
	case codes.Internal:
		return slog.LevelError
	case codes.Unauthenticated, codes.PermissionDenied, codes.Unavailable:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// translate leaves the message of an internal error to the caller.
func translate(ctx context.Context, err error) (st *status.Status, reason string) {
	var e *vault.Error
	switch {
	case errors.As(err, &e):
		return engineStatus(e), string(e.Reason)
	case errors.Is(err, errUnknownCaller):
		return newStatus(codes.Unauthenticated, "CALLER_UNKNOWN", "Send `authorization: Bearer <token>` with a token that the vault's configuration knows, or a client certificate."), "CALLER_UNKNOWN"
	case errors.Is(err, access.ErrUnavailable):
		return newStatus(codes.Unavailable, "ISSUER_UNAVAILABLE", "The vault cannot get the keys that this token would be checked with. Call again in a moment; if it goes on, its operator finds the cause in the log."), "ISSUER_UNAVAILABLE"
	case errors.Is(err, errForbidden):
		return newStatus(codes.PermissionDenied, "CALLER_FORBIDDEN", "This caller may not do this. Ask the operator of the vault to widen the caller's rules."), "CALLER_FORBIDDEN"
	case errors.Is(err, errNotRecorded):
		return newStatus(codes.Unavailable, "AUDIT_UNAVAILABLE", "The vault cannot write its audit log, and does nothing that it cannot record. Its operator has to look at the log's disk."), "AUDIT_UNAVAILABLE"
	case errors.Is(err, errAuditOff):
		return newStatus(codes.FailedPrecondition, "AUDIT_OFF", "This vault keeps no audit log. Its operator can set audit.path in the configuration."), "AUDIT_OFF"
	case errors.Is(err, errStopping):
		return newStatus(codes.Unavailable, "STOPPING", "The vault is stopping. Call again."), "STOPPING"
	case ctx.Err() != nil: // the request's own context, not one of those inside
		gone := status.FromContextError(ctx.Err())
		return newStatus(gone.Code(), "CALLER_GONE", gone.Message()), "CALLER_GONE"
	}
	return status.New(codes.Internal, ""), "INTERNAL"
}

// engineStatus adds the details that programs read: the reason, the field at
// fault, when to try again.
func engineStatus(e *vault.Error) *status.Status {
	details := []protoadapt.MessageV1{}
	if e.Field != "" {
		details = append(details, &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{
			Field: e.Field, Description: e.Message, Reason: string(e.Reason),
		}}})
	}
	if e.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter)})
	}
	return statusOfInfo(codeOf(e.Reason), e.Message, &errdetails.ErrorInfo{Reason: string(e.Reason), Domain: errorDomain, Metadata: e.Metadata}, details...)
}

func newStatus(code codes.Code, reason, message string) *status.Status {
	return statusOfInfo(code, message, &errdetails.ErrorInfo{Reason: reason, Domain: errorDomain})
}

func statusOfInfo(code codes.Code, message string, info *errdetails.ErrorInfo, details ...protoadapt.MessageV1) *status.Status {
	st, err := status.New(code, message).WithDetails(append([]protoadapt.MessageV1{info}, details...)...)
	if err != nil {
		return status.New(code, message) // cannot be: the details are our own
	}
	return st
}

// failure writes the one log line of a call that failed.
func (r reporter) failure(ctx context.Context, level slog.Level, method, reason string, err error, attrs ...slog.Attr) {
	if !r.log.Enabled(ctx, level) {
		return
	}
	line := append([]slog.Attr{slog.String("method", method), slog.String("reason", reason)}, attrs...)
	cause := slog.Any("cause", err)
	if r.lines != nil && callerFrom(ctx) == nil && personFrom(ctx) == nil {
		count := r.lines.admit(reason, time.Now())
		if count == 0 {
			return // counted, and told with the next
		}
		if count > 1 {
			line = append(line, slog.Int("count", count))
		}
		cause = slog.String("cause", cut(err.Error(), maxStrangersCause))
	}
	line = append(line, slog.String("peer", r.address(ctx)))
	r.log.LogAttrs(ctx, level, "request refused", append(line, cause)...)
}

// maxStrangersCause is in bytes.
const maxStrangersCause = 300

// lineBounds bound the lines of strangers for each reason: those of one do not hide
// what else goes wrong.
type lineBounds struct {
	mu       sync.Mutex
	byReason map[string]*strangers
}

func newLineBounds() *lineBounds { return &lineBounds{byReason: map[string]*strangers{}} }

// admit is that of strangers.
func (b *lineBounds) admit(reason string, now time.Time) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.byReason[reason] == nil {
		b.byReason[reason] = new(strangers)
	}
	return b.byReason[reason].admit(now)
}

// namesOf says who asked for what. What strangers ask for is left out, and what
// callers do is cut to what it can be (in bytes): nobody fills the log.
func namesOf(ctx context.Context, req any) []slog.Attr {
	caller := callerFrom(ctx)
	if caller == nil {
		return nil
	}
	attrs := []slog.Attr{slog.String("caller", caller.Name()), slog.String("tenant", caller.Tenant())}
	if r, ok := req.(interface{ GetSubject() string }); ok {
		attrs = append(attrs, slog.String("subject", cut(r.GetSubject(), 256)))
	}
	if r, ok := req.(interface{ GetProvider() string }); ok {
		attrs = append(attrs, slog.String("provider", cut(r.GetProvider(), 63)))
	}
	if r, ok := req.(interface{ GetLabel() string }); ok && r.GetLabel() != "" {
		attrs = append(attrs, slog.String("label", cut(r.GetLabel(), 64)))
	}
	return attrs
}

// cut shortens s to n bytes, and says so.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

func errorID() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}
