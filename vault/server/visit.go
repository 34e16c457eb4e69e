package server

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/tokenvault/tokenvault/vault/netlimit"
)

// visits bound the calls of strangers that last: those whose request has not come, and
// watches of the vault's health. What each holds is small, and what all of them could
// is not. Where all hold too much, a connection that makes it more is closed, unless it
// holds no more than its share: so whoever asks for little always has an answer. It is
// safe for concurrent use.
type visits struct {
	limits limits

	mu   sync.Mutex
	all  int              // in bytes
	each map[net.Addr]int // of those, by connection
}

// What a call takes, in bytes and about: its goroutine and what gRPC keeps of it; and
// each of its headers, which may have cost one byte to send (RFC 7541, section 6.1).
const (
	visitBytes  = 10 << 10
	headerBytes = 100
)

// visit is one call.
type visit struct {
	visits *visits
	remote net.Addr
	bytes  int         // 0: it is not counted
	open   atomic.Bool // it is a stream whose request has come
	timer  *time.Timer
	end    context.CancelCauseFunc
	forget func() bool // that the visit ends with its call
}

// Why a stranger's call ends.
var (
	errNoMessage = errors.New("the request did not come in time")
	errLongVisit = errors.New("a stream without a credential does not go on for ever")
)

func newVisits(l limits) *visits { return &visits{limits: l, each: map[net.Addr]int{}} }

type visitKey struct{}

// begin returns a context that ends when the patience with a stranger does, unless
// messageCame or streamOpen is called with it first.
func (vs *visits) begin(ctx context.Context, headers metadata.MD) context.Context {
	visiting, end := context.WithCancelCause(ctx)
	v := &visit{visits: vs, remote: remoteOf(ctx), end: end}
	if !netlimit.Kept(v.remote) {
		v.bytes = visitBytes + headerBytes*len(headers)
	}
	if !vs.count(v.remote, v.bytes) {
		netlimit.Drop(v.remote)
	}
	v.timer = time.AfterFunc(vs.limits.firstMessage, v.expire)
	v.forget = context.AfterFunc(ctx, v.leave) // a call that ends first leaves nothing behind
	return context.WithValue(visiting, visitKey{}, v)
}

// count reports whether it is not too much. bytes may be negative.
func (vs *visits) count(remote net.Addr, bytes int) bool {
	if bytes == 0 {
		return true
	}
	vs.mu.Lock()
	defer vs.mu.Unlock()
	vs.all += bytes
	held := vs.each[remote] + bytes
	if vs.each[remote] = held; held == 0 {
		delete(vs.each, remote)
	}
	return vs.all <= vs.limits.visits || held <= vs.limits.visitsEach
}

// messageCame says that a call need not be waited for any more.
func messageCame(ctx context.Context) {
	if v, ok := ctx.Value(visitKey{}).(*visit); ok && v.forget() {
		v.leave()
	}
}

// streamOpen says that the request of a stream has come that anyone may open: it goes
// on for a while.
func streamOpen(ctx context.Context) {
	if v, ok := ctx.Value(visitKey{}).(*visit); ok {
		v.open.Store(true)
		v.timer.Reset(v.visits.limits.visit)
	}
}

// leave is called once.
func (v *visit) leave() {
	v.timer.Stop()
	v.visits.count(v.remote, -v.bytes)
}

// expire ends the call, unless a known caller has called beside it since.
func (v *visit) expire() {
	switch {
	case !v.open.Load():
		v.end(errNoMessage)
	case !netlimit.Kept(v.remote):
		v.end(errLongVisit)
	}
}
