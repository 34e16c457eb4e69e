package vaulttest_test

import (
	"context"
	"net"
	"runtime"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// echo answers every GetCredentials with the same message: what gRPC alone costs.
type echo struct {
	tokenvaultv1.UnimplementedVaultServiceServer
	resp *tokenvaultv1.GetCredentialsResponse
}

func (e *echo) GetCredentials(context.Context, *tokenvaultv1.GetCredentialsRequest) (*tokenvaultv1.GetCredentialsResponse, error) {
	return e.resp, nil
}

func newEcho(b *testing.B, resp *tokenvaultv1.GetCredentialsResponse, s *vaulttest.Stack) tokenvaultv1.VaultServiceClient {
	b.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := grpc.NewServer()
	tokenvaultv1.RegisterVaultServiceServer(srv, &echo{resp: proto.Clone(resp).(*tokenvaultv1.GetCredentialsResponse)})
	go func() { _ = srv.Serve(lis) }()
	b.Cleanup(srv.Stop)
	conn, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithPerRPCCredentials(s.Credentials()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	return tokenvaultv1.NewVaultServiceClient(conn)
}

// BenchmarkGetCredentials alternates GetCredentials with a bare echo of the same
// messages over the same transport, and reports the ratio of their speeds: 1
// would mean that the vault costs nothing beyond gRPC. The echo's allocations are
// taken off, so vault-allocs/op is what the vault itself allocates.
func BenchmarkGetCredentials(b *testing.B) {
	for _, row := range []struct {
		name    string
		workers int
	}{{"one caller", 1}, {"sixteen callers", 16}} {
		b.Run(row.name, func(b *testing.B) {
			s := vaulttest.New(b, vaulttest.Config{})
			s.Connect("alice", "mailchimp", vaulttest.Ada)
			req := &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "mailchimp"}
			resp, err := s.Client.GetCredentials(b.Context(), req)
			if err != nil {
				b.Fatal(err)
			}
			bare := newEcho(b, resp, s)
			const batch = 400
			var vaultTime, echoTime time.Duration
			var vaultAllocs, echoAllocs, calls uint64
			for b.Loop() {
				t, a := measure(b, s.Client, req, row.workers, batch)
				vaultTime, vaultAllocs = vaultTime+t, vaultAllocs+a
				t, a = measure(b, bare, req, row.workers, batch)
				echoTime, echoAllocs = echoTime+t, echoAllocs+a
				calls += batch
			}
			b.ReportMetric(float64(echoTime)/float64(vaultTime), "ratio")
			b.ReportMetric(float64(vaultTime.Nanoseconds())/float64(calls), "vault-ns/op")
			b.ReportMetric(float64(echoTime.Nanoseconds())/float64(calls), "echo-ns/op")
			b.ReportMetric((float64(vaultAllocs)-float64(echoAllocs))/float64(calls), "vault-allocs/op")
		})
	}
}

// measure makes calls from several workers, and returns the time they took and
// what the process allocated.
func measure(b *testing.B, client tokenvaultv1.VaultServiceClient, req *tokenvaultv1.GetCredentialsRequest, workers, calls int) (time.Duration, uint64) {
	b.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	done := make(chan error, workers)
	for range workers {
		go func() {
			for range calls / workers {
				if _, err := client.GetCredentials(b.Context(), req); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range workers {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	elapsed := time.Since(start)
	runtime.ReadMemStats(&after)
	return elapsed, after.Mallocs - before.Mallocs
}
