package server

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/tokenvault/tokenvault/vault/access"
)

// from is the context of a call that comes on a connection.
func from(ctx context.Context, connection string) context.Context {
	return peer.NewContext(ctx, &peer.Peer{Addr: &net.UnixAddr{Name: connection}})
}

func TestAVisitEndsInItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vs, began := newVisits(publicLimits()), time.Now()
		silent, open, done := vs.begin(t.Context(), nil), vs.begin(t.Context(), nil), vs.begin(t.Context(), nil)
		streamOpen(open)
		messageCame(done)
		for _, row := range []struct {
			name string
			ctx  context.Context
			last time.Duration
			why  error
		}{
			{"a call without a request", silent, 10 * time.Second, errNoMessage},
			{"a stream", open, 5 * time.Minute, errLongVisit},
		} {
			<-row.ctx.Done()
			if got := time.Since(began); got != row.last || context.Cause(row.ctx) != row.why {
				t.Errorf("%s: ended after %v with %q, want after %v with %q", row.name, got, context.Cause(row.ctx), row.last, row.why)
			}
		}
		if done.Err() != nil {
			t.Error("a call whose request has come was ended")
		}
	})
}

func TestOneConnectionGoesWhereAllVisitsHoldTooMuch(t *testing.T) {
	vs := newVisits(limits{visits: 100, visitsEach: 20})
	small, large := &net.UnixAddr{Name: "small"}, &net.UnixAddr{Name: "large"}
	for _, row := range []struct {
		name   string
		remote net.Addr
		bytes  int
		want   bool
	}{
		{"much, while there is room", large, 90, true},
		{"little", small, 10, true},
		{"a little more, which is within the share", small, 10, true},
		{"more than the share", small, 1, false},
		{"more where there is much already", large, 1, false},
	} {
		if got := vs.count(row.remote, row.bytes); got != row.want {
			t.Errorf("%s: may stay is %v, want %v", row.name, got, row.want)
		}
	}
	vs.count(large, -91)
	if !vs.count(small, 50) {
		t.Error("with room again: may not stay")
	}
}

func TestVisitsThatAreOverLeaveNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vs := newVisits(publicLimits())
		ctx, cancel := context.WithCancel(from(t.Context(), "a"))
		begin := func() context.Context { return vs.begin(ctx, metadata.MD{"a": {"b"}}) }
		messageCame(begin())
		streamOpen(begin())
		begin()
		if want := 2 * (visitBytes + headerBytes); vs.all != want {
			t.Errorf("%d bytes, want %d", vs.all, want)
		}
		cancel()
		synctest.Wait()
		if vs.all != 0 || len(vs.each) != 0 {
			t.Errorf("%d bytes and %d connections are left", vs.all, len(vs.each))
		}
	})
}

func TestAWatchOfAStrangersEndsAndCanBeBegunAgain(t *testing.T) {
	address, _ := serve(t, func(l *limits) { l.visit = 10 * time.Millisecond })
	health := grpc_health_v1.NewHealthClient(dial(t, address))
	for range 2 {
		watch, err := health.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		if err == nil {
			_, err = watch.Recv()
		}
		if err != nil {
			t.Fatalf("a watch begins with %v", err)
		}
		if _, err = watch.Recv(); status.Code(err) != codes.Unavailable {
			t.Errorf("the watch ended with %v, want Unavailable: its client may watch again", err)
		}
	}
}

func TestWhereStrangersHoldTooMuchAConnectionHasItsShare(t *testing.T) {
	address, _ := serve(t, func(l *limits) { l.visits, l.visitsEach = 0, 3*visitBytes })
	conn := dial(t, address)
	watch := func() (grpc_health_v1.Health_WatchClient, error) {
		watch, err := grpc_health_v1.NewHealthClient(conn).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		if err == nil {
			_, err = watch.Recv()
		}
		return watch, err
	}
	first, err := watch()
	if err == nil {
		_, err = watch()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch(); status.Code(err) != codes.Unavailable {
		t.Errorf("the third watch: %v, want Unavailable", err)
	}
	if _, err := first.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the first watch, on the same connection: %v, want Unavailable", err)
	}
	if _, err := watch(); err != nil {
		t.Errorf("on a new connection: %v", err)
	}
}

func TestAWatchGoesOnWhereAKnownCallerHasCalled(t *testing.T) {
	token := access.GenerateToken()
	address, stop := serve(t, func(l *limits) { l.visit = 50 * time.Millisecond }, access.Rule{
		Name: "reader", Tokens: access.HashTokens(token), Tenant: "default", RPCs: []string{"VerifyAudit"},
	})
	watch := func(conn *grpc.ClientConn) grpc_health_v1.Health_WatchClient {
		t.Helper()
		watch, err := grpc_health_v1.NewHealthClient(conn).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		if err == nil {
			_, err = watch.Recv()
		}
		if err != nil {
			t.Fatal(err)
		}
		return watch
	}
	known := dial(t, address)
	if got := verifyAudit(t, known, token.Reveal()); got != answered {
		t.Fatal(got)
	}
	going := watch(known)
	if _, err := watch(dial(t, address)).Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the watch of a stranger, begun later, ended with %v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	for err := error(nil); err == nil; {
		var last *grpc_health_v1.HealthCheckResponse
		if last, err = going.Recv(); err == nil && last.GetStatus() != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
			t.Errorf("the watch says %v, want it to have seen the end", last)
		}
		if status.Code(err) == codes.Unavailable && !strings.Contains(err.Error(), "stopping") {
			t.Errorf("the watch ended with %v, not with the server", err)
		}
	}
}
