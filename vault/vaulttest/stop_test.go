package vaulttest_test

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

func TestStoppingDoesNotWaitForWatchers(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	health, err := grpc_health_v1.NewHealthClient(s.Conn).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	connections, err := s.Client.WatchConnections(t.Context(), &tokenvaultv1.WatchConnectionsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := health.Recv(); err != nil {
		t.Fatal(err)
	}
	if _, err := connections.Recv(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	s.Restart()
	if took := time.Since(start); took > 5*time.Second { // the patience is 10
		t.Errorf("stopping and starting took %v", took)
	}
	_, err = connections.Recv()
	wantError(t, err, codes.Unavailable, "STOPPING")
}
