package server

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/audit"
	"github.com/tokenvault/tokenvault/vault/provider"
)

// errNotRecorded says that the audit log cannot be written: what cannot be
// recorded does not happen.
var errNotRecorded = errors.New("the audit log cannot be written")

// recorder writes what the guard decides into the audit log. Without a log it does
// nothing.
type recorder struct {
	log       *audit.Log
	strangers *strangers
	ids       *requestIDs
}

// ready refuses calls while the log cannot be written, before anything is done.
func (r recorder) ready() error {
	if r.log == nil || r.log.Healthy() == nil {
		return nil
	}
	return errNotRecorded
}

// record writes the entry of a call that has ended, before its answer leaves; that
// of a stream when its request has been decided. Its end has an entry of its own.
func (r recorder) record(ctx context.Context, m method, peer string, req, resp any, callErr error) error {
	if r.log == nil || !m.ours() || m.waits {
		return nil
	}
	e := r.entry(ctx, m, peer, req, callErr)
	if e.Caller == "" && e.Tenant == "" && e.Outcome != audit.Allowed {
		if e.Count = r.strangers.admit(e.Time); e.Count == 0 {
			return nil // counted, and told with the next
		}
	}
	if creds, ok := resp.(*tokenvaultv1.GetCredentialsResponse); ok && callErr == nil {
		e.Generation = creds.GetGeneration()
		e.Token = r.log.Fingerprint(creds.GetOauth2().GetAccessToken() + creds.GetApiKey().GetKey())
	}
	return r.append(e)
}

// ended writes that a stream which was allowed is over.
func (r recorder) ended(ctx context.Context, m method, peer string, req any, callErr error) error {
	if r.log == nil || !m.ours() {
		return nil
	}
	e := r.entry(ctx, m, peer, req, callErr)
	e.Ended = true
	if callErr != nil && e.Reason != "STOPPING" && ctx.Err() != nil {
		e.Reason = "CALLER_GONE"
	}
	if e.Reason == "STOPPING" || e.Reason == "CALLER_GONE" {
		e.Outcome = audit.Allowed // a stream ends in no other way when all is well
	}
	return r.append(e)
}

func (r recorder) append(e audit.Entry) error {
	if err := r.log.Append(e); err != nil {
		return errors.Join(errNotRecorded, err)
	}
	return nil
}

func (r recorder) entry(ctx context.Context, m method, peer string, req any, callErr error) audit.Entry {
	e := audit.Entry{Time: time.Now().UTC(), RPC: m.name, Outcome: audit.Allowed, Peer: peer, RequestID: r.ids.next(), TraceID: traceID(ctx)}
	if callErr != nil {
		e.Outcome, e.Reason = audit.Failed, reasonOf(callErr)
		switch e.Reason {
		case "CALLER_UNKNOWN", "CALLER_FORBIDDEN", string(vault.InvalidSubjectToken):
			e.Outcome = audit.Denied
		}
	}
	if caller := callerFrom(ctx); caller != nil {
		e.Caller, e.Tenant = caller.Name(), caller.Tenant()
		if r, ok := req.(interface{ GetSubject() string }); ok {
			e.Subject = cut(r.GetSubject(), 256)
		}
		if r, ok := req.(interface{ GetLabel() string }); ok {
			e.Label = cut(r.GetLabel(), 64)
		}
	}
	if p := personFrom(ctx); p != nil {
		e.Caller, e.Tenant, e.Subject = p.Caller, p.Tenant, p.Subject
		if r, ok := req.(interface{ GetLabel() string }); ok {
			e.Label = cut(r.GetLabel(), 64)
		}
	}
	if r, ok := req.(interface{ GetProvider() string }); ok && (callerFrom(ctx) != nil || m.who != allowedCaller && provider.ValidName(r.GetProvider())) {
		e.Provider = cut(r.GetProvider(), 63)
	}
	if n := noteFrom(ctx); n != nil {
		n.complete(&e)
	}
	return e
}

// reasonOf is the reason of a status.
func reasonOf(err error) string {
	st := status.Convert(err)
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return st.Code().String()
}

// requestIDs are one for each call: a random beginning, which is the process's, and
// a number.
type requestIDs struct {
	process [16]byte // in hexadecimal
	last    atomic.Uint64
}

func newRequestIDs() *requestIDs {
	var process [8]byte
	_, _ = rand.Read(process[:]) // never fails (crypto/rand)
	ids := new(requestIDs)
	hex.Encode(ids.process[:], process[:])
	return ids
}

func (ids *requestIDs) next() string {
	var number [8]byte
	binary.BigEndian.PutUint64(number[:], ids.last.Add(1))
	var id [32]byte
	hex.Encode(id[copy(id[:], ids.process[:]):], number[:])
	return string(id[:])
}

// traceID reads the trace of a W3C trace context. Empty: there is none.
func traceID(ctx context.Context) string {
	values := metadata.ValueFromIncomingContext(ctx, "traceparent")
	if len(values) != 1 || len(values[0]) != 55 || values[0][2] != '-' || values[0][35] != '-' {
		return ""
	}
	id := values[0][3:35]
	if _, err := hex.DecodeString(id); err != nil {
		return ""
	}
	return id
}

// note is where a handler puts what the request does not name.
type note struct {
	id     string // of the call; empty: each entry has one of its own
	mu     sync.Mutex
	key    vault.Key
	reason vault.Reason
}

type noteKey struct{}

func withNote(ctx context.Context) context.Context {
	return context.WithValue(ctx, noteKey{}, new(note))
}

// withCallID has all entries of a call carry one request id.
func withCallID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, noteKey{}, &note{id: id})
}

func noteFrom(ctx context.Context) *note {
	n, _ := ctx.Value(noteKey{}).(*note)
	return n
}

// set notes whose connection a call was about, and why it came to nothing.
func (n *note) set(key vault.Key, reason vault.Reason) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.key, n.reason = key, reason
}

func (n *note) complete(e *audit.Entry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.key != (vault.Key{}) {
		e.Tenant, e.Subject, e.Provider, e.Label = n.key.Tenant, n.key.Subject, n.key.Provider, n.key.Label
	}
	if n.id != "" {
		e.RequestID = n.id
	}
	if n.reason != "" {
		e.Outcome, e.Reason = audit.Failed, string(n.reason)
	}
}

// strangers bound what those without a credential can write into the log: so many
// entries a second, and the others are counted into the next one.
type strangers struct {
	mu      sync.Mutex
	second  int64
	written int
	left    int
}

// maxStrangers is how many refusals of unknown callers are written each second.
const maxStrangers = 20

// admit returns for how many refusals the entry stands. 0: it is not written.
func (s *strangers) admit(now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if second := now.Unix(); second != s.second {
		s.second, s.written = second, 0
	}
	if s.written == maxStrangers {
		s.left++
		return 0
	}
	s.written++
	count := s.left + 1
	s.left = 0
	return count
}
