package client_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// BenchmarkNews takes one connection through all kinds of change over and over, and
// reports how long it takes until each is known to a client that watches: from when the
// vault begins to store it, the median and what 99 of 100 do not exceed; and the median
// from before the change is asked for, so with the vault's other work and the provider's
// (for "connected", a whole flow in a browser).
func BenchmarkNews(b *testing.B) {
	r := newRig(b, vaulttest.Config{})
	r.watched()
	told, err := r.Client.WatchConnections(b.Context(), &tokenvaultv1.WatchConnectionsRequest{})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := told.Recv(); err != nil { // it watches from here on
		b.Fatal(err)
	}
	kinds := newsKinds(b, r)
	stored, asked := make([][]float64, len(kinds)), make([][]float64, len(kinds))
	for b.Loop() {
		for i, kind := range kinds {
			news := r.c.News("alice", "acme")
			began := time.Now()
			kind.change()
			r.await(kind.name, news)
			known, knownThere := time.Now(), r.Clock.Now()
			stored[i] = append(stored[i], milliseconds(knownThere.Sub(timeOf(b, told, kind.event))))
			asked[i] = append(asked[i], milliseconds(known.Sub(began)))
		}
	}
	b.ReportMetric(0, "ns/op") // of all four: says nothing
	for i, kind := range kinds {
		slices.Sort(stored[i])
		slices.Sort(asked[i])
		b.ReportMetric(stored[i][len(stored[i])/2], kind.name+"-ms")
		b.ReportMetric(stored[i][len(stored[i])*99/100], kind.name+"-p99-ms")
		b.ReportMetric(asked[i][len(asked[i])/2], kind.name+"-whole-ms")
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// newsKind is a kind of change, and how it is made.
type newsKind struct {
	name   string
	event  tokenvaultv1.ConnectionEvent
	change func()
}

// newsKinds are the kinds, in an order in which one connection can go through them.
func newsKinds(b *testing.B, r *rig) []newsKind {
	b.Helper()
	return []newsKind{
		{"connected", tokenvaultv1.ConnectionEvent_CONNECTION_EVENT_CONNECTED, func() { r.connect("alice", "acme") }},
		{"refreshed", tokenvaultv1.ConnectionEvent_CONNECTION_EVENT_REFRESHED, func() {
			if err := r.refresh("alice"); err != nil {
				b.Fatal(err)
			}
		}},
		{"broken", tokenvaultv1.ConnectionEvent_CONNECTION_EVENT_REAUTHORIZATION_REQUIRED, func() {
			r.Sandbox.RevokeAll()
			if err := r.refresh("alice"); err == nil {
				b.Fatal("a grant that was revoked was refreshed")
			}
		}},
		{"disconnected", tokenvaultv1.ConnectionEvent_CONNECTION_EVENT_DISCONNECTED, func() { r.disconnect("alice", "acme") }},
	}
}

// timeOf is when the vault began to store the next change, which has to be of a kind.
func timeOf(b *testing.B, told grpc.ServerStreamingClient[tokenvaultv1.WatchConnectionsResponse], want tokenvaultv1.ConnectionEvent) time.Time {
	b.Helper()
	for {
		change, err := told.Recv()
		if err != nil {
			b.Fatal(err)
		}
		switch change.GetEvent() {
		case tokenvaultv1.ConnectionEvent_CONNECTION_EVENT_CHECKPOINT:
		case want:
			return change.GetEventTime().AsTime()
		default:
			b.Fatalf("told of %v, want %v", change.GetEvent(), want)
		}
	}
}
