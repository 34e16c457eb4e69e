package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/audit"
)

const canary = "canary-4f1d"

// fragile is a service whose handlers panic with that value.
func fragile(value any) *grpc.ServiceDesc {
	return &grpc.ServiceDesc{ServiceName: "fragile", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{
		MethodName: "Call",
		Handler: func(_ any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
			req := new(tokenvaultv1.ListProvidersRequest)
			if err := decode(req); err != nil {
				return nil, err
			}
			return intercept(ctx, req, &grpc.UnaryServerInfo{FullMethod: "/fragile/Call"}, func(context.Context, any) (any, error) { panic(value) })
		},
	}}, Streams: []grpc.StreamDesc{{
		StreamName: "Read", ServerStreams: true,
		Handler: func(any, grpc.ServerStream) error { panic(value) },
	}}}
}

// noHead keeps nothing.
type noHead struct{}

func (noHead) LoadHead(context.Context) (audit.Head, error) { return audit.Head{}, nil }
func (noHead) SaveHead(context.Context, audit.Head) error   { return nil }

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// serveFragile serves fragile, which one caller may call, on a real listener. It
// returns a connection of that caller's, the vault's log and the audit log's path.
func serveFragile(t *testing.T, value any) (*grpc.ClientConn, context.Context, *lines, string) {
	t.Helper()
	token, log, path := access.GenerateToken(), &lines{}, filepath.Join(t.TempDir(), "audit.jsonl")
	policy, err := access.NewPolicy(access.Config{Rules: []access.Rule{{Name: "program", Tenant: "default", Tokens: access.HashTokens(token), RPCs: []string{"*"}}}})
	if err != nil {
		t.Fatal(err)
	}
	key, err := audit.NewKey(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	record, err := audit.Open(t.Context(), audit.Config{Path: path, Key: key, Keeper: noHead{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = record.Close() })
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	g := guard{
		listener: publicListener, visits: newVisits(publicLimits()), policy: policy, calls: newUnderway(), stopping: t.Context(),
		methods: map[string]method{
			"/fragile/Call": {name: "Call", who: allowedCaller, names: nothing, public: true}, "/fragile/Read": {name: "Read", who: anyCaller, public: true},
		},
		report: reporter{log: logger, listener: publicListener},
		record: recorder{log: record, strangers: new(strangers), ids: newRequestIDs()},
	}
	srv := newGRPC(g, insecure.NewCredentials())
	srv.RegisterService(fragile(value), nil)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = srv.Serve(lis) }()
	t.Cleanup(srv.Stop)
	return dial(t, lis.Addr().String()), metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token.Reveal()), log, path
}

// TestAPanicEndsItsCallAndTellsNothing runs in the process of the server: without
// recovery it would end with the first call.
func TestAPanicEndsItsCallAndTellsNothing(t *testing.T) {
	for name, value := range map[string]any{
		"a text":   canary,
		"an error": fmt.Errorf("redeem %q: %w", canary, errors.New(canary)),
		"a value":  struct{ Token []byte }{[]byte(canary)},
	} {
		t.Run(name, func(t *testing.T) {
			conn, ctx, log, path := serveFragile(t, value)
			calls := map[string]error{
				"Call": conn.Invoke(ctx, "/fragile/Call", &tokenvaultv1.ListProvidersRequest{}, &tokenvaultv1.ListProvidersResponse{}),
			}
			stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/fragile/Read")
			if err == nil {
				err = stream.RecvMsg(&tokenvaultv1.ListProvidersResponse{})
			}
			calls["Read"] = err
			for call, err := range calls {
				info, _ := infoOf(err)
				if status.Code(err) != codes.Internal || info.GetReason() != "INTERNAL" || strings.Contains(err.Error(), canary) {
					t.Errorf("%s: error = %v", call, err)
				}
				if !strings.Contains(log.String(), "method=/fragile/"+call+" panic=") {
					t.Errorf("the log does not tell of the panic of %s:\n%s", call, log)
				}
			}
			if !strings.Contains(log.String(), "recover_test.go:") || strings.Contains(log.String(), canary) {
				t.Errorf("the log does not tell where it happened, or tells too much:\n%s", log)
			}
			record, err := os.ReadFile(path)
			waiting, journalErr := os.ReadFile(audit.JournalPath(path))
			record = append(record, waiting...)
			if err := errors.Join(err, journalErr); err != nil || !strings.Contains(string(record), `"rpc":"Call","outcome":"failed","reason":"INTERNAL","caller":"program"`) || strings.Contains(string(record), canary) {
				t.Errorf("the record of the calls is %s, %v", record, err)
			}
		})
	}
}

func TestAPanicOfTheGuardIsARefusal(t *testing.T) {
	log := &lines{}
	g := guard{ // without all else that it needs
		methods: map[string]method{"/m": {name: "m", who: anyone, public: true}}, listener: publicListener,
		report: reporter{log: slog.New(slog.NewTextHandler(log, nil))},
	}
	_, unary := g.guardUnary(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: "/m"}, nil)
	stream := g.guardStream(nil, noStream{ctx: t.Context()}, &grpc.StreamServerInfo{FullMethod: "/m"}, nil)
	for _, err := range []error{unary, stream} {
		if info, _ := infoOf(err); status.Code(err) != codes.Internal || info.GetReason() != "INTERNAL" {
			t.Errorf("error = %v", err)
		}
	}
	if n := strings.Count(log.String(), "nil pointer dereference"); n != 2 {
		t.Errorf("the log tells of %d panics:\n%s", n, log)
	}
}

type noStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s noStream) Context() context.Context { return s.ctx }
