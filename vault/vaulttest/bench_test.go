package vaulttest_test

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/sandbox"
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

// batch is how many calls are measured in one go.
const batch = 400

// BenchmarkGetCredentials alternates GetCredentials with a bare echo of the same
// messages over the same transport, and reports the median ratio of their speeds:
// 1 would mean that the vault costs nothing beyond gRPC. The echo's allocations
// are taken off, so vault-allocs/op is what the vault itself allocates.
func BenchmarkGetCredentials(b *testing.B) {
	for _, row := range []struct {
		name    string
		workers int
		callers int // configured besides the one that calls
	}{
		{"one at a time", 1, 0},
		{"sixteen at once", 16, 0},
		{"sixteen at once, of a thousand", 16, 1000},
	} {
		b.Run(row.name, func(b *testing.B) {
			s := vaulttest.New(b, vaulttest.Config{Rules: callers(row.callers)})
			s.Connect("alice", "mailchimp", vaulttest.Ada)
			req := &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "mailchimp"}
			resp, err := s.Client.GetCredentials(b.Context(), req)
			if err != nil {
				b.Fatal(err)
			}
			bare := newEcho(b, resp, s)
			var ratios, times, allocs []float64
			for b.Loop() {
				vaultTime, vaultAllocs := measure(b, s.Client, req, row.workers)
				echoTime, echoAllocs := measure(b, bare, req, row.workers)
				ratios = append(ratios, echoTime.Seconds()/vaultTime.Seconds())
				times = append(times, float64(vaultTime.Nanoseconds())/batch)
				allocs = append(allocs, (vaultAllocs-echoAllocs)/batch)
			}
			// In the order in which they are printed.
			b.ReportMetric(0, "ns/op") // of both: says nothing
			b.ReportMetric(median(ratios), "ratio")
			b.ReportMetric(median(allocs), "vault-allocs/op")
			b.ReportMetric(median(times), "vault-ns/op")
		})
	}
}

func callers(n int) []access.Rule {
	rules := make([]access.Rule, n)
	for i := range rules {
		rules[i] = access.Rule{
			Name: fmt.Sprintf("caller-%d", i), Tokens: access.HashTokens(access.GenerateToken()), Tenant: vault.DefaultTenant,
			RPCs: []string{"*"}, Providers: []string{"*"}, Subjects: []string{"*"},
		}
	}
	return rules
}

// median is of use where other processes disturb some of the measurements.
func median(xs []float64) float64 {
	slices.Sort(xs)
	return xs[len(xs)/2]
}

// measure makes a batch of calls from several workers, and returns the time they
// took and how often the process allocated.
func measure(b *testing.B, client tokenvaultv1.VaultServiceClient, req *tokenvaultv1.GetCredentialsRequest, workers int) (time.Duration, float64) {
	b.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	var group errgroup.Group
	for range workers {
		group.Go(func() error {
			for range batch / workers {
				if _, err := client.GetCredentials(b.Context(), req); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	elapsed := time.Since(start)
	runtime.ReadMemStats(&after)
	return elapsed, float64(after.Mallocs - before.Mallocs)
}

// BenchmarkRefreshAhead has the background refresh connections that have all come
// due at once, at a provider behind real sockets: run it with
// -benchtime=100000x for a hundred thousand. The rate cannot exceed the pace at
// which the background begins; cpu-ms/op says what one refresh costs.
func BenchmarkRefreshAhead(b *testing.B) {
	clock := &vaulttest.Clock{}
	e := vaulttest.NewEngine(b, vaulttest.EngineConfig{
		Quiet: true, Sockets: true, Now: clock.Now,
		Sandbox: func(c *sandbox.Config) { c.TokenLifetime = 24 * time.Hour },
	})
	names := make([]string, b.N)
	for i := range names {
		names[i] = fmt.Sprint("subject-", i)
	}
	e.MustConnect(names...)
	clock.Advance(21 * time.Hour)
	asked := e.Sandbox.Requests(sandbox.Token)
	cpu := processTime(b)
	b.ResetTimer()
	e.Start()
	for e.Sandbox.Requests(sandbox.Token)-asked < b.N {
		<-time.After(10 * time.Millisecond)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "refreshes/s")
	b.ReportMetric(float64((processTime(b)-cpu).Microseconds())/1000/float64(b.N), "cpu-ms/op")
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	b.ReportMetric(float64(mem.HeapSys-mem.HeapReleased)/(1<<20), "heap-MiB")
	b.ReportMetric(float64(e.Sandbox.PeakConcurrency(sandbox.Token)), "peak-requests")
}

// processTime is the processor time that the process has used, the sandbox's
// part included.
func processTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
