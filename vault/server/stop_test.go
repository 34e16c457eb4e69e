package server

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

func TestRunOfAnEndedContextIsNoError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := New(Config{}).Run(ctx, lis); err != nil {
			t.Fatal(err)
		}
		if _, err := net.Dial("tcp", lis.Addr().String()); err == nil {
			t.Fatal("the listener is open afterwards")
		}
	}
}

func TestAListenerThatFailsIsAnError(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := lis.Close(); err != nil {
		t.Fatal(err)
	}
	if err := New(Config{}).Run(t.Context(), lis); err == nil {
		t.Error("Run returned nil")
	}
}

func TestStoppingTellsWatchersOfHealthAndDoesNotWaitForThem(t *testing.T) {
	address, stop := serve(t, nil)
	watch, err := grpc_health_v1.NewHealthClient(dial(t, address)).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if first, err := watch.Recv(); err != nil || first.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Fatalf("%v, %v; want SERVING", first, err)
	}
	start := time.Now()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > stopPatience/2 {
		t.Errorf("stopping took %v", took)
	}
	if second, err := watch.Recv(); err != nil || second.GetStatus() != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("%v, %v; want NOT_SERVING", second, err)
	}
	_, err = watch.Recv()
	if info, ok := infoOf(err); status.Code(err) != codes.Unavailable || !ok || info.GetReason() != "STOPPING" {
		t.Errorf("the watch ended with %v, want STOPPING", err)
	}
}

// stubborn is a service whose handler does not end until it is let go.
func stubborn(entered chan<- struct{}, release <-chan struct{}) *grpc.ServiceDesc {
	return &grpc.ServiceDesc{ServiceName: "stubborn", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{
		MethodName: "Call",
		Handler: func(any, context.Context, func(any) error, grpc.UnaryServerInterceptor) (any, error) {
			close(entered)
			<-release
			return nil, status.Error(codes.Aborted, "")
		},
	}}}
}

func TestBothServersStopAtTheSameTimeAndWaitForTheirHandlers(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	s := New(Config{})
	s.public.RegisterService(stubborn(entered, release), nil)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, lis) }()
	inside, err := s.DialGateway()
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	called := make(chan error, 1)
	go func() {
		called <- dial(t, lis.Addr().String()).Invoke(t.Context(), "/stubborn/Call", &grpc_health_v1.HealthCheckRequest{}, &grpc_health_v1.HealthCheckResponse{})
	}()
	<-entered
	cancel()
	// The gateway's server has gone while the public one still waits.
	waitForUnavailable(t, inside)
	select {
	case err := <-done:
		t.Errorf("Run returned (%v) with a call under way", err)
	default:
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := <-called; status.Code(err) != codes.Aborted {
		t.Errorf("the call under way: %v, want its own answer", err)
	}
}

// waitForUnavailable calls until nobody answers.
func waitForUnavailable(t *testing.T, conn *grpc.ClientConn) {
	t.Helper()
	for {
		err := conn.Invoke(t.Context(), "/none/None", &grpc_health_v1.HealthCheckRequest{}, &grpc_health_v1.HealthCheckResponse{})
		switch status.Code(err) {
		case codes.Unimplemented:
		case codes.Unavailable:
			return
		default:
			t.Fatal(err)
		}
	}
}

func TestWhoWaitsForAChangeDoesNotKeepTheServerFromStopping(t *testing.T) {
	stopping, stop := context.WithCancel(t.Context())
	g := guard{
		listener: gatewayListener, calls: newUnderway(), stopping: stopping, report: reporter{log: slog.New(slog.DiscardHandler)},
		methods: map[string]method{"/portal/Wait": {name: "Wait", who: anyone, gateway: true, waits: true}},
	}
	stop()
	waited := func(ctx context.Context, _ any) (any, error) {
		<-ctx.Done()
		return "answer", nil
	}
	if resp, err := g.unary(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: "/portal/Wait"}, waited); resp != "answer" || err != nil {
		t.Errorf("who waited got %v, %v", resp, err)
	}
}
