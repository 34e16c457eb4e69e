package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
)

// scripted is a vault that answers as a test says.
type scripted struct {
	tokenvaultv1.UnimplementedVaultServiceServer
	watch  func(call int, r *tokenvaultv1.WatchConnectionsRequest, send func(*tokenvaultv1.WatchConnectionsResponse) error) error
	expire time.Time
	calls  atomic.Int32
}

func (s *scripted) Connect(context.Context, *tokenvaultv1.ConnectRequest) (*tokenvaultv1.ConnectResponse, error) {
	return &tokenvaultv1.ConnectResponse{ConnectUrl: "http://127.0.0.1/link", ExpireTime: timestamppb.New(s.expire)}, nil
}

func (s *scripted) WatchConnections(r *tokenvaultv1.WatchConnectionsRequest, stream grpc.ServerStreamingServer[tokenvaultv1.WatchConnectionsResponse]) error {
	err := s.watch(int(s.calls.Add(1)), r, stream.Send)
	if err == nil {
		<-stream.Context().Done()
	}
	return err
}

// runAgainst runs a command against a scripted vault.
func runAgainst(t *testing.T, s *scripted, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer()
	tokenvaultv1.RegisterVaultServiceServer(srv, s)
	go func() { _ = srv.Serve(lis) }()
	t.Cleanup(srv.Stop)
	t.Setenv("TOKENVAULT_TOKEN", "tv_x")
	t.Setenv("TOKENVAULT_ADDR", lis.Addr().String())
	var out, log bytes.Buffer
	code = run(t.Context(), args, &out, &log)
	return code, out.String(), log.String()
}

func refusal(code codes.Code, reason string) error {
	st, err := status.New(code, "refused").WithDetails(&errdetails.ErrorInfo{Reason: reason, Domain: "tokenvault"})
	if err != nil {
		return err
	}
	return st.Err()
}

func checkpoint(token string) *tokenvaultv1.WatchConnectionsResponse {
	return &tokenvaultv1.WatchConnectionsResponse{Event: tokenvaultv1.ConnectionEvent_CONNECTION_EVENT_CHECKPOINT, ResumeToken: token}
}

func connected(subject, label string) *tokenvaultv1.WatchConnectionsResponse {
	return &tokenvaultv1.WatchConnectionsResponse{
		Event: tokenvaultv1.ConnectionEvent_CONNECTION_EVENT_CONNECTED, ResumeToken: "later",
		Connection: &tokenvaultv1.Connection{Subject: subject, Provider: "acme", Label: label, Account: &tokenvaultv1.Account{Name: "Ada"}},
	}
}

func TestWaitingEndsWithTheLink(t *testing.T) {
	code, _, stderr := runAgainst(t, &scripted{
		expire: time.Now(),
		watch: func(_ int, _ *tokenvaultv1.WatchConnectionsRequest, send func(*tokenvaultv1.WatchConnectionsResponse) error) error {
			return send(checkpoint("a"))
		},
	}, "connect", "--wait", "alice", "acme")
	if code == 0 || !strings.Contains(stderr, "nothing has come of the link: the person has declined, or nobody has finished in time. Run `") {
		t.Errorf("exit status %d, %s", code, stderr)
	}
}

func TestWaitingIsForTheLabelThatWasNamed(t *testing.T) {
	code, stdout, stderr := runAgainst(t, &scripted{
		expire: time.Now().Add(time.Hour),
		watch: func(_ int, _ *tokenvaultv1.WatchConnectionsRequest, send func(*tokenvaultv1.WatchConnectionsResponse) error) error {
			for _, answer := range []*tokenvaultv1.WatchConnectionsResponse{checkpoint("a"), connected("alice", "default"), connected("alice", "work")} {
				if err := send(answer); err != nil {
					return err
				}
			}
			return nil
		},
	}, "connect", "--wait", "--label", "work", "alice", "acme")
	if code != 0 || strings.Count(stdout, "is connected") != 1 || !strings.Contains(stdout, "alice at acme (label work) is connected, as Ada.") {
		t.Errorf("exit status %d, %s%s", code, stdout, stderr)
	}
}

func TestWaitingGoesOnWhereTheVaultStopped(t *testing.T) {
	code, stdout, stderr := runAgainst(t, &scripted{
		expire: time.Now().Add(time.Hour),
		watch: func(call int, r *tokenvaultv1.WatchConnectionsRequest, send func(*tokenvaultv1.WatchConnectionsResponse) error) error {
			if call == 1 {
				_ = send(checkpoint("a"))
				return refusal(codes.Unavailable, "STOPPING")
			}
			if r.GetResumeToken() != "a" {
				return status.Errorf(codes.InvalidArgument, "resumed from %q", r.GetResumeToken())
			}
			return send(connected("alice", "default"))
		},
	}, "connect", "--wait", "alice", "acme")
	if code != 0 || strings.Count(stdout, "Open this link") != 1 || !strings.Contains(stdout, "is connected, as Ada.") {
		t.Errorf("exit status %d, %s%s", code, stdout, stderr)
	}
	for _, want := range []string{"has gone away: waiting for it", "is back"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("stderr does not say %q:\n%s", want, stderr)
		}
	}
}

func TestAResumeTokenThatIsTooOldIsExplained(t *testing.T) {
	code, _, stderr := runAgainst(t, &scripted{
		watch: func(int, *tokenvaultv1.WatchConnectionsRequest, func(*tokenvaultv1.WatchConnectionsResponse) error) error {
			return refusal(codes.OutOfRange, "RESUME_TOKEN_EXPIRED")
		},
	}, "watch", "--resume-token", "old")
	if code == 0 || !strings.Contains(stderr, "it remembers them for an hour") || !strings.Contains(stderr, " list` to see what is there now") {
		t.Errorf("exit status %d, %s", code, stderr)
	}
}

func TestACallerThatMayNotWatchIsToldSo(t *testing.T) {
	code, _, stderr := runAgainst(t, &scripted{
		watch: func(int, *tokenvaultv1.WatchConnectionsRequest, func(*tokenvaultv1.WatchConnectionsResponse) error) error {
			return refusal(codes.PermissionDenied, "CALLER_FORBIDDEN")
		},
	}, "connect", "--wait", "alice", "acme")
	if code == 0 || !strings.Contains(stderr, "WatchConnections, which --wait and --device need") {
		t.Errorf("exit status %d, %s", code, stderr)
	}
}

func TestAVaultThatIsNotThereAtFirstIsAnError(t *testing.T) {
	t.Setenv("TOKENVAULT_TOKEN", "tv_x")
	t.Setenv("TOKENVAULT_ADDR", "127.0.0.1:1")
	for _, args := range [][]string{{"watch"}, {"watch", "--resume-token", "a"}, {"connect", "--wait", "alice", "acme"}} {
		var out, log bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		code := run(ctx, args, &out, &log)
		cancel()
		if code == 0 || !strings.Contains(log.String(), "no vault answers at 127.0.0.1:1") {
			t.Errorf("%q: exit status %d, %s", args, code, log.String())
		}
	}
}

func TestATLSServerOnLoopbackIsToldFromAVault(t *testing.T) {
	web := httptest.NewTLSServer(http.NotFoundHandler())
	defer web.Close()
	t.Setenv("TOKENVAULT_TOKEN", "tv_x")
	t.Setenv("TOKENVAULT_ADDR", web.Listener.Addr().String())
	var out, log bytes.Buffer
	if code := run(t.Context(), []string{"list"}, &out, &log); code == 0 || strings.Contains(log.String(), "no vault answers") || !strings.Contains(log.String(), "answers at "+web.Listener.Addr().String()) {
		t.Errorf("exit status %d, %s", code, log.String())
	}
}
