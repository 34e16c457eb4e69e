package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/access"
)

// serve runs a server without an engine, whose callers are those of the rules, and
// returns its address and a function that stops it and returns what Run has returned.
func serve(t *testing.T, change func(*limits), rules ...access.Rule) (address string, stop func() error) {
	t.Helper()
	policy, err := access.NewPolicy(access.Config{Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	return servePolicy(t, policy, nil, change)
}

func servePolicy(t *testing.T, policy *access.Policy, log *slog.Logger, change func(*limits)) (address string, stop func() error) {
	t.Helper()
	l := publicLimits()
	if change != nil {
		change(&l)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(Config{Policy: policy, Logger: log}, l)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, lis) }()
	stopped := false
	stop = func() error {
		stopped = true
		cancel()
		return <-done
	}
	t.Cleanup(func() {
		if !stopped {
			_ = stop()
		}
	})
	return lis.Addr().String(), stop
}

func dial(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// HTTP/2 frames (RFC 9113, section 4.1), as far as the test below needs them.
const (
	frameHeaders      = 1
	frameRST          = 3
	frameSettings     = 4
	frameGoAway       = 7
	frameContinuation = 9
	flagEndHeaders    = 4
)

func writeFrame(w io.Writer, kind, flags byte, stream uint32, payload []byte) error {
	head := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	head = binary.BigEndian.AppendUint32(append(head, flags), stream)
	_, err := w.Write(append(head, payload...))
	return err
}

// refused reads frames until the peer resets a stream, or ends the connection.
func refused(r io.Reader) error {
	head := make([]byte, 9)
	for {
		if _, err := io.ReadFull(r, head); err != nil {
			if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
				return err
			}
			return nil
		}
		if head[3] == frameRST || head[3] == frameGoAway {
			return nil
		}
		length := int64(binary.BigEndian.Uint32(head) >> 8)
		if _, err := io.CopyN(io.Discard, r, length); err != nil {
			return nil
		}
	}
}

// headerBomb is a header block that names one entry of the dynamic table again and
// again (RFC 7541, section 6.1): each byte grows to a whole field.
func headerBomb(repeats int) []byte {
	var block []byte
	for _, field := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", tokenvaultv1.VaultService_GetCredentials_FullMethodName}, {":authority", "x"},
		{"content-type", "application/grpc"}, {"te", "trailers"},
	} {
		block = append(block, 0, byte(len(field[0])))
		block = append(append(block, field[0]...), byte(len(field[1])))
		block = append(block, field[1]...)
	}
	block = append(block, 0x40, 1, 'a', 0) // into the table, as entry 62
	return append(block, bytes.Repeat([]byte{0x80 | 62}, repeats)...)
}

func TestSmallHeadersThatGrowLargeAreRefused(t *testing.T) {
	address, _ := serve(t, nil)
	before := heapInUse()
	for range 10 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		_, err = io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
		if err := errors.Join(err, writeFrame(conn, frameSettings, 0, 0, nil)); err != nil {
			t.Fatal(err)
		}
		kind := byte(frameHeaders)
		for block := headerBomb(500_000); len(block) > 0; kind = frameContinuation {
			n := min(len(block), 16<<10)
			flags := byte(0)
			if n == len(block) {
				flags = flagEndHeaders
			}
			if err := writeFrame(conn, kind, flags, 1, block[:n]); err != nil {
				break // the server has closed
			}
			block = block[n:]
		}
		if err := refused(conn); err != nil {
			t.Fatalf("half a million header fields are neither refused nor answered: %v", err)
		}
	}
	if after := heapInUse(); after > before+16<<20 {
		t.Errorf("the heap has grown from %d to %d KiB", before>>10, after>>10)
	}
}

func TestHeadersHaveALimit(t *testing.T) {
	address, _ := serve(t, nil)
	c := tokenvaultv1.NewVaultServiceClient(dial(t, address))
	for _, row := range []struct {
		size int
		want codes.Code
	}{{8 << 10, codes.Unauthenticated}, {17 << 10, codes.Internal}} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x", strings.Repeat("x", row.size))
		if _, err := c.GetConnection(ctx, &tokenvaultv1.GetConnectionRequest{}); status.Code(err) != row.want {
			t.Errorf("%d bytes: %v, want %v", row.size, err, row.want)
		}
	}
}

func TestMessagesHaveALimit(t *testing.T) {
	address, _ := serve(t, nil)
	c := tokenvaultv1.NewVaultServiceClient(dial(t, address))
	for _, row := range []struct {
		size int
		want codes.Code
	}{{100 << 10, codes.Unauthenticated}, {129 << 10, codes.ResourceExhausted}} {
		_, err := c.GetConnection(t.Context(), &tokenvaultv1.GetConnectionRequest{Subject: strings.Repeat("x", row.size)})
		if status.Code(err) != row.want {
			t.Errorf("%d bytes: %v, want %v", row.size, err, row.want)
		}
	}
}

func TestAnOpenStreamKeepsLittle(t *testing.T) {
	address, _ := serve(t, nil)
	watch, err := grpc_health_v1.NewHealthClient(dial(t, address)).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: strings.Repeat("x", 2<<10)})
	if err == nil {
		_, err = watch.Recv()
	}
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("a watch of a service with a name of 2 KiB: %v, want InvalidArgument", err)
	}
}

// halfOpen begins a call whose request never comes.
func halfOpen(t *testing.T, ctx context.Context, conn *grpc.ClientConn, method string) grpc.ClientStream {
	t.Helper()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func TestACallWhoseRequestDoesNotComeEnds(t *testing.T) {
	address, _ := serve(t, func(l *limits) { l.firstMessage = 10 * time.Millisecond })
	conn := dial(t, address)
	for _, method := range []string{
		tokenvaultv1.VaultService_GetCredentials_FullMethodName, tokenvaultv1.VaultService_WatchConnections_FullMethodName,
		grpc_health_v1.Health_Check_FullMethodName, grpc_health_v1.Health_Watch_FullMethodName,
	} {
		var streams []grpc.ClientStream
		for range 20 {
			streams = append(streams, halfOpen(t, t.Context(), conn, method))
		}
		for _, stream := range streams {
			if err := stream.RecvMsg(new(grpc_health_v1.HealthCheckResponse)); err == nil {
				t.Errorf("%s: answered", method)
			}
		}
	}
}

func TestACallWhoseRequestHasComeGoesOn(t *testing.T) {
	address, stop := serve(t, func(l *limits) { l.firstMessage = 50 * time.Millisecond })
	conn := dial(t, address)
	watch, err := grpc_health_v1.NewHealthClient(conn).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err == nil {
		_, err = watch.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}
	// One that began later has run out of time.
	if err := halfOpen(t, t.Context(), conn, grpc_health_v1.Health_Watch_FullMethodName).RecvMsg(new(grpc_health_v1.HealthCheckResponse)); err == nil {
		t.Fatal("answered")
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	for err == nil {
		_, err = watch.Recv()
	}
	if status.Code(err) != codes.Unavailable {
		t.Errorf("the watch ended with %v, not with the server", err)
	}
}

func TestAConnectionHasALimitOfCalls(t *testing.T) {
	address, _ := serve(t, func(l *limits) { l.streams = 10 })
	conn := dial(t, address)
	health := grpc_health_v1.NewHealthClient(conn)
	// The first call brings the limit to the client's knowledge.
	if _, err := health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 10 {
		halfOpen(t, ctx, conn, tokenvaultv1.VaultService_GetCredentials_FullMethodName)
	}
	brief, cancelBrief := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancelBrief()
	if _, err := health.Check(brief, &grpc_health_v1.HealthCheckRequest{}); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("the eleventh call: %v, want it to wait", err)
	}
	if after := runtime.NumGoroutine(); after > before+100 {
		t.Errorf("%d goroutines after %d", after, before)
	}
}

func TestAConnectionDoesNotLastForEver(t *testing.T) {
	address, _ := serve(t, func(l *limits) { l.age, l.last = 50*time.Millisecond, 50*time.Millisecond })
	stream, err := grpc_health_v1.NewHealthClient(dial(t, address)).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Unavailable {
		t.Errorf("the stream has ended with %v, want Unavailable: its client may try again", err)
	}
}
