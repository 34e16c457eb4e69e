package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/client"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

func TestErrorsSayWhatToDo(t *testing.T) {
	r := newRig(t, vaulttest.Config{})
	for _, row := range []struct {
		name   string
		client *client.Client
		reason string
		code   codes.Code
		want   string
	}{
		{"no such provider", r.c, "PROVIDER_UNKNOWN", codes.NotFound, "alice at nobody: "},
		{"a caller that nobody knows", newClient(t, r.GRPCAddress, client.WithToken("tv_stranger")), "CALLER_UNKNOWN", codes.Unauthenticated, "Bearer <token>"},
		{"nobody at home", newClient(t, "127.0.0.1:1", client.WithToken("tv_x")), "", codes.Unavailable, "the vault at 127.0.0.1:1 cannot be reached"},
		{"TLS, and the vault has none", newClient(t, r.GRPCAddress, client.WithToken("tv_x"), client.WithCAFile(vaulttest.NewAuthority(t).File)), "", codes.Unavailable, "TLS options"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			_, err := row.client.Credentials(t.Context(), "alice", "nobody")
			wantReason(t, err, row.reason)
			if status.Code(err) != row.code {
				t.Errorf("code = %v, want %v", status.Code(err), row.code)
			}
			wantText(t, err.Error(), row.want, "tv_stranger", "max retries", "rpc error")
		})
	}
}

// TestAProviderThatFailsIsNotAskedAgainWhereThereIsNoTime: the vault wants to be called
// again after 5 seconds.
func TestAProviderThatFailsIsNotAskedAgainWhereThereIsNoTime(t *testing.T) {
	r := newRig(t, vaulttest.Config{})
	r.connect("alice", "acme")
	r.Clock.Advance(time.Hour)
	r.Sandbox.Fault(sandbox.Token, sandbox.Fault{Status: http.StatusServiceUnavailable})
	before := r.Sandbox.Requests(sandbox.Token)
	ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
	defer cancel()
	_, err := r.c.Credentials(ctx, "alice", "acme")
	wantReason(t, err, "PROVIDER_UNAVAILABLE")
	if e, _ := errors.AsType[*client.Error](err); e.RetryAfter < 4*time.Second {
		t.Errorf("retry after %v, want what the vault says", e.RetryAfter)
	}
	if calls, asked := r.rpcs.of("GetCredentials"), r.Sandbox.Requests(sandbox.Token)-before; calls != 1 || asked != 1 {
		t.Errorf("%d GetCredentials and %d requests to the provider, want one each", calls, asked)
	}
}

// hurried is a vault that wants to be called again soon, so many times.
type hurried struct {
	tokenvaultv1.UnimplementedVaultServiceServer
	refusals, calls atomic.Int32
}

func (h *hurried) GetCredentials(ctx context.Context, _ *tokenvaultv1.GetCredentialsRequest) (*tokenvaultv1.GetCredentialsResponse, error) {
	h.calls.Add(1)
	if h.refusals.Add(-1) < 0 {
		return &tokenvaultv1.GetCredentialsResponse{}, nil
	}
	st, err := status.New(codes.Unavailable, "later").WithDetails(
		&errdetails.ErrorInfo{Reason: "PROVIDER_UNAVAILABLE", Domain: "tokenvault"}, &errdetails.RetryInfo{RetryDelay: durationpb.New(time.Millisecond)})
	if err != nil {
		return nil, err
	}
	return nil, errors.Join(grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", "-1")), st.Err())
}

func TestTheVaultIsCalledAgainWhenItSays(t *testing.T) {
	for _, row := range []struct {
		refusals, calls int32
		reason          string
	}{{0, 1, ""}, {1, 2, ""}, {2, 3, ""}, {3, 3, "PROVIDER_UNAVAILABLE"}} {
		t.Run(fmt.Sprint(row.refusals, " refusals"), func(t *testing.T) {
			lis, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			vault, srv := new(hurried), grpc.NewServer()
			vault.refusals.Store(row.refusals)
			tokenvaultv1.RegisterVaultServiceServer(srv, vault)
			go func() { _ = srv.Serve(lis) }()
			t.Cleanup(srv.Stop)
			_, err = newClient(t, lis.Addr().String(), client.WithToken("tv_x")).Credentials(t.Context(), "alice", "acme")
			if row.reason != "" {
				wantReason(t, err, row.reason)
			} else if err != nil {
				t.Error(err)
			}
			if n := vault.calls.Load(); n != row.calls {
				t.Errorf("%d calls, want %d", n, row.calls)
			}
		})
	}
}

func TestScopesThatAreMissingAreNamed(t *testing.T) {
	token := access.GenerateToken()
	s := vaulttest.New(t, vaulttest.Config{Rules: []access.Rule{rule(access.Rule{Tokens: access.HashTokens(token)}, "GetCredentials")}})
	r := rigOn(t, s, client.WithToken(token.Reveal()))
	r.connect("alice", "acme")
	_, err := r.c.Credentials(t.Context(), "alice", "acme", client.WithRequiredScopes("x", "offline_access"))
	e, ok := errors.AsType[*client.Error](err)
	if !ok || e.Reason != "SCOPES_MISSING" || e.Metadata["missing_scopes"] != "x" {
		t.Errorf("error = %v, want SCOPES_MISSING with x", err)
	}
}
