package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/store"
)

// reasons reads the engine's reasons from its source.
func reasons(t *testing.T) []vault.Reason {
	t.Helper()
	files, err := filepath.Glob("../*.go")
	if err != nil {
		t.Fatal(err)
	}
	var found []vault.Reason
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Reason" || len(spec.Values) != 1 {
				return true
			}
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, vault.Reason(text))
			return true
		})
	}
	return found
}

func TestEveryReasonHasACode(t *testing.T) {
	all := reasons(t)
	if len(all) < 20 {
		t.Fatalf("only %d reasons found: %v", len(all), all)
	}
	for _, reason := range all {
		if code := codeOf(reason); code == codes.Internal || code == codes.OK {
			t.Errorf("%s has the code %v", reason, code)
		}
	}
}

func infoOf(err error) (*errdetails.ErrorInfo, bool) {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info, true
		}
	}
	return nil, false
}

func TestEveryErrorBecomesAStatus(t *testing.T) {
	alive := t.Context()
	cancelled, cancel := context.WithCancel(alive)
	cancel()
	late, cancelLate := context.WithTimeout(alive, 0)
	defer cancelLate()
	wrap := func(err error) error { return fmt.Errorf("lock a connection: %w", err) }
	for _, row := range []struct {
		name   string
		ctx    context.Context
		err    error
		code   codes.Code
		reason string
	}{
		{"a reason of the engine", alive, wrap(&vault.Error{Reason: vault.NotConnected}), codes.NotFound, "NOT_CONNECTED"},
		{"a reason that nobody knows", alive, &vault.Error{Reason: "NEW"}, codes.Internal, "NEW"},
		{"a reason, when the caller has gone", cancelled, &vault.Error{Reason: vault.NotConnected}, codes.NotFound, "NOT_CONNECTED"},
		{"no caller", alive, errUnknownCaller, codes.Unauthenticated, "CALLER_UNKNOWN"},
		{"a caller that may not", alive, errForbidden, codes.PermissionDenied, "CALLER_FORBIDDEN"},
		{"stopping", alive, errStopping, codes.Unavailable, "STOPPING"},
		{"the caller has gone", cancelled, wrap(context.Canceled), codes.Canceled, "CALLER_GONE"},
		{"the caller's time is up", late, wrap(context.DeadlineExceeded), codes.DeadlineExceeded, "CALLER_GONE"},
		{"something else, when the caller has gone", cancelled, errors.New("boom"), codes.Canceled, "CALLER_GONE"},
		{"a deadline inside", alive, wrap(context.DeadlineExceeded), codes.Internal, "INTERNAL"},
		{"an end inside", alive, wrap(context.Canceled), codes.Internal, "INTERNAL"},
		{"the store", alive, wrap(store.ErrClosed), codes.Internal, "INTERNAL"},
		{"a foreign status", alive, status.Error(codes.NotFound, "secret"), codes.Internal, "INTERNAL"},
		{"anything", alive, errors.New("boom"), codes.Internal, "INTERNAL"},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := reporter{log: slog.New(slog.DiscardHandler)}.status(row.ctx, "/m", nil, row.err)
			if err == nil {
				t.Fatal("a call that has failed is reported as a success")
			}
			info, ok := infoOf(err)
			if status.Code(err) != row.code || !ok || info.GetReason() != row.reason || info.GetDomain() != "tokenvault" {
				t.Errorf("%v with %v; want %v with %s", err, info, row.code, row.reason)
			}
		})
	}
}

// logged returns the lines that a failure leaves in the log.
func logged(ctx context.Context, req any, err error) []string {
	var out bytes.Buffer
	_ = reporter{log: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))}.status(ctx, "/m", req, err)
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

func TestAFailureLeavesOneLine(t *testing.T) {
	for _, err := range []error{errors.New("boom"), errUnknownCaller, &vault.Error{Reason: vault.NotConnected}} {
		if lines := logged(t.Context(), nil, err); len(lines) != 1 || lines[0] == "" {
			t.Errorf("%v: %q", err, lines)
		}
	}
	if line := logged(t.Context(), nil, errors.New("boom"))[0]; !strings.Contains(line, "error_id=") || !strings.Contains(line, "cause=boom") {
		t.Errorf("the line of an internal failure has no error_id or no cause: %s", line)
	}
}

func TestOnlyWhatAnOperatorHasToSeeToIsLoud(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, row := range []struct {
		name string
		ctx  context.Context
		err  error
		want slog.Level
	}{
		{"nothing is connected yet", t.Context(), &vault.Error{Reason: vault.NotConnected}, slog.LevelDebug},
		{"a watcher that has seen enough", gone, context.Canceled, slog.LevelDebug},
		{"a person who declines", t.Context(), &vault.Error{Reason: vault.AccessDenied}, slog.LevelInfo},
		{"a slip of a caller", t.Context(), &vault.Error{Reason: vault.InvalidLabel}, slog.LevelInfo},
		{"a secret that is wrong", t.Context(), &vault.Error{Reason: vault.ProviderMisconfigured}, slog.LevelWarn},
		{"a provider that fails", t.Context(), &vault.Error{Reason: vault.ProviderUnavailable}, slog.LevelWarn},
		{"a stranger", t.Context(), errUnknownCaller, slog.LevelWarn},
		{"our own fault", t.Context(), errors.New("boom"), slog.LevelError},
	} {
		t.Run(row.name, func(t *testing.T) {
			if line := logged(row.ctx, nil, row.err)[0]; !strings.Contains(line, "level="+row.want.String()+" ") {
				t.Errorf("want level %v: %s", row.want, line)
			}
		})
	}
}

func TestTheLogNamesWhatKnownCallersAskFor(t *testing.T) {
	token := access.GenerateToken()
	policy, err := access.NewPolicy(access.Config{Rules: []access.Rule{{Name: "crm", Tenant: "default", Tokens: access.HashTokens(token)}}})
	if err != nil {
		t.Fatal(err)
	}
	caller := policy.Recall(access.Presented{Bearer: token})
	req := &tokenvaultv1.GetConnectionRequest{Subject: "alice", Provider: "acme", Label: "main"}
	line := logged(context.WithValue(t.Context(), callerKey{}, caller), req, errForbidden)[0]
	for _, want := range []string{"caller=crm", "tenant=default", "subject=alice", "provider=acme", "label=main"} {
		if !strings.Contains(line, want) {
			t.Errorf("no %s in: %s", want, line)
		}
	}
}

func TestStrangersCannotFillTheLog(t *testing.T) {
	long := strings.Repeat("\x01", 1<<20)
	req := &tokenvaultv1.GetConnectionRequest{Subject: long, Provider: long, Label: long}
	if line := logged(t.Context(), req, errUnknownCaller)[0]; len(line) > 1000 || strings.Contains(line, `\x01`) {
		t.Errorf("a stranger's names are in the log: %d bytes", len(line))
	}
	known := context.WithValue(t.Context(), callerKey{}, &access.Caller{})
	if line := logged(known, req, errForbidden)[0]; len(line) > 2000 || !strings.Contains(line, `\x01`) {
		t.Errorf("a caller's names are not in the log, or not cut: %d bytes", len(line))
	}
	// Cut between characters, or what is in the log cannot be searched for.
	umlauts := &tokenvaultv1.GetConnectionRequest{Subject: "x" + strings.Repeat("ä", 300)}
	if line := logged(known, umlauts, errForbidden)[0]; strings.Contains(line, `\x`) || strings.Contains(line, "�") {
		t.Errorf("a name is cut within a character: %s", line)
	}
}

func TestStrangersHaveSoManyLinesOfTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		r := reporter{log: slog.New(slog.NewTextHandler(&out, nil)), lines: newLineBounds()}
		known := context.WithValue(t.Context(), callerKey{}, &access.Caller{})
		lines := func(ctx context.Context, err error) []string {
			out.Reset()
			for range 100 {
				_ = r.status(ctx, "/m", nil, err)
			}
			return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		}
		got := lines(t.Context(), errUnknownCaller)
		if len(got) != maxStrangers {
			t.Errorf("100 strangers in one second have left %d lines, want %d", len(got), maxStrangers)
		}
		if strings.Contains(got[0], "count=") {
			t.Errorf("the line of a single one counts: %s", got[0])
		}
		if got := lines(known, errForbidden); len(got) != 100 {
			t.Errorf("100 calls of a known caller have left %d lines", len(got))
		}
		for _, err := range []error{
			&vault.Error{Reason: vault.ProviderMisconfigured, Err: errors.New(strings.Repeat("x", 1000))}, fmt.Errorf("%w: %s", access.ErrUnavailable, strings.Repeat("x", 1000)),
		} {
			got := lines(t.Context(), err)
			if len(got) != maxStrangers {
				t.Errorf("%.100v: 100 in one second have left %d lines, want %d", err, len(got), maxStrangers)
			}
			if len(got[0]) > maxStrangersCause+200 {
				t.Errorf("a line of %d bytes", len(got[0]))
			}
		}
		time.Sleep(time.Second)
		if first := lines(t.Context(), errUnknownCaller)[0]; !strings.Contains(first, fmt.Sprintf(" count=%d ", 100-maxStrangers+1)) {
			t.Errorf("the next line does not tell of those that were left out: %s", first)
		}
	})
}

func TestGRPCsOwnServicesAnswerInTheirOwnWords(t *testing.T) {
	address, _ := serve(t, nil)
	health := grpc_health_v1.NewHealthClient(dial(t, address))
	if _, err := health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "unknown"}); status.Code(err) != codes.NotFound {
		t.Errorf("health of an unknown service: %v, want NotFound", err)
	}
}

func TestAnEmptyCredentialIsNone(t *testing.T) {
	address, _ := serve(t, nil)
	c := tokenvaultv1.NewVaultServiceClient(dial(t, address))
	for _, value := range []string{"", "Bearer", "Bearer ", "bearer ", "Bearer  "} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", value)
		if _, err := c.GetConnection(ctx, &tokenvaultv1.GetConnectionRequest{}); status.Code(err) != codes.Unauthenticated {
			t.Errorf("authorization %q: %v", value, err)
		}
	}
}
