package server

import (
	"math"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/tokenvault/tokenvault/vault/netlimit"
)

// limits bound what a peer can have the server keep before it has shown who it
// is. Peers without a credential can open connections; so everything that one
// connection can hold is small and ends by itself.
type limits struct {
	// connections at once. The gateway has one.
	connections int
	// headers of one call, in bytes after decompression: HPACK turns one byte
	// into a whole header (RFC 7541, section 7.3).
	headers uint32
	// streams are the calls at once on one connection.
	streams uint32
	// firstMessage is how long a call without a credential may keep its request
	// back.
	firstMessage time.Duration
	// visits is what the calls of strangers may hold that wait for their request, or are
	// streams; and visitsEach what those of one connection may in any case. In bytes.
	visits, visitsEach int
	// visit is how long such a stream goes on.
	visit time.Duration
	// idle is how long a connection without calls stays open. 0: for ever.
	idle time.Duration
	// age is how long a connection lasts, and last how long its calls may go on after
	// that: a stream must not outlive for long the certificate or the token that it
	// began with. 0: for ever.
	age, last time.Duration
}

func publicLimits() limits {
	return limits{
		connections: netlimit.Bound(), headers: 16 << 10, streams: 250, firstMessage: 10 * time.Second,
		visits: 32 << 20, visitsEach: 24 << 10, visit: 5 * time.Minute,
		idle: 15 * time.Minute, age: time.Hour, last: 2 * time.Minute,
	}
}

// gatewayLimits are wider: there is one peer, the gateway, and all of its requests
// share one connection. It has limits of its own.
func gatewayLimits() limits {
	return limits{headers: 64 << 10, streams: 10_000, firstMessage: 10 * time.Second, visits: math.MaxInt}
}

// Limits that are the same for both.
const (
	// maxRequest is in bytes. The largest request that makes sense is Connect's,
	// with 100 scopes of 256 bytes.
	maxRequest = 128 << 10
	// maxOpenRequest is for streams that are open to anyone, which keep their
	// request as long as they last. In bytes.
	maxOpenRequest = 1 << 10
	// streamWorkers are goroutines kept for calls: a new one's stack has to
	// grow several times on its way down to the database. When all are busy,
	// calls get goroutines of their own.
	streamWorkers = 32
	// readBuffer is in bytes, and each connection's own. A request fits in it.
	readBuffer    = 4 << 10
	minPing       = 20 * time.Second // clients that ping more often are cut off
	pingIdle      = 2 * time.Minute  // a connection on which nothing comes is asked
	handshakeTime = 10 * time.Second
)

// strangersAllowance is what a connection may send without a known credential: a few of
// the longest requests, and some forty health checks a second. Without it,
// frames that cost little to send, and calls that are taken back at once, would keep
// the vault busy for as long as one likes (CVE-2023-44487, CVE-2019-9512 and kin).
func strangersAllowance() netlimit.Allowance {
	return netlimit.Allowance{Bytes: 4 * maxRequest, PerSecond: 8 << 10}
}

func (l limits) options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxHeaderListSize(l.headers),
		grpc.MaxConcurrentStreams(l.streams),
		grpc.MaxRecvMsgSize(maxRequest),
		grpc.NumStreamWorkers(streamWorkers),
		grpc.ReadBufferSize(readBuffer),
		grpc.ConnectionTimeout(handshakeTime),
		grpc.WaitForHandlers(true),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: l.idle, MaxConnectionAge: l.age, MaxConnectionAgeGrace: l.last, Time: pingIdle,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
	}
}
