package vaulttest_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// rpcs calls each RPC about one connection.
func rpcs(c tokenvaultv1.VaultServiceClient) map[string]func(ctx context.Context, subject, provider string) error {
	return map[string]func(ctx context.Context, subject, provider string) error{
		"Connect": func(ctx context.Context, s, p string) error {
			_, err := c.Connect(ctx, &tokenvaultv1.ConnectRequest{Subject: s, Provider: p})
			return err
		},
		"GetCredentials": func(ctx context.Context, s, p string) error {
			_, err := c.GetCredentials(ctx, &tokenvaultv1.GetCredentialsRequest{Subject: s, Provider: p})
			return err
		},
		"GetConnection": func(ctx context.Context, s, p string) error {
			_, err := c.GetConnection(ctx, &tokenvaultv1.GetConnectionRequest{Subject: s, Provider: p})
			return err
		},
		"ListConnections": func(ctx context.Context, s, p string) error {
			_, err := c.ListConnections(ctx, &tokenvaultv1.ListConnectionsRequest{Subject: s, Provider: p})
			return err
		},
		"Disconnect": func(ctx context.Context, s, p string) error {
			_, err := c.Disconnect(ctx, &tokenvaultv1.DisconnectRequest{Subject: s, Provider: p})
			return err
		},
	}
}

func TestAListShowsOnlyWhatTheCallerMaySee(t *testing.T) {
	narrow, foreign := access.GenerateToken(), access.GenerateToken()
	s := vaulttest.New(t, vaulttest.Config{Rules: []access.Rule{
		{Name: "narrow", Tokens: access.HashTokens(narrow), Tenant: "default", RPCs: []string{"*"}, Providers: []string{"mail*"}, Subjects: []string{"team-*"}},
		{Name: "foreign", Tokens: access.HashTokens(foreign), Tenant: "other", RPCs: []string{"*"}, Providers: []string{"*"}, Subjects: []string{"*"}},
	}})
	for _, subject := range []string{"team-1", "alice"} {
		s.Connect(subject, "mailchimp", vaulttest.Ada)
		s.Connect(subject, "acme", vaulttest.Ada)
	}
	for _, row := range []struct {
		name  string
		token secret.String
		want  int
	}{{"everything", s.Token, 4}, {"narrow", narrow, 1}, {"another tenant", foreign, 0}} {
		conn := s.Dial(row.token)
		defer conn.Close()
		c := tokenvaultv1.NewVaultServiceClient(conn)
		list, err := c.ListConnections(t.Context(), &tokenvaultv1.ListConnectionsRequest{})
		if err != nil || len(list.GetConnections()) != row.want {
			t.Errorf("%s sees %d connections, %v; want %d", row.name, len(list.GetConnections()), err, row.want)
		}
	}
	conn := s.Dial(foreign)
	defer conn.Close()
	_, err := tokenvaultv1.NewVaultServiceClient(conn).GetCredentials(t.Context(), &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "acme"})
	wantError(t, err, codes.NotFound, "NOT_CONNECTED")
}

func TestOnlyHealthIsOpenToAnyone(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	conn := s.Dial(secret.String{})
	defer conn.Close()
	if _, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Errorf("health: %v", err)
	}
	for name, md := range map[string]metadata.MD{
		"nothing":         {},
		"a wrong token":   metadata.Pairs("authorization", "Bearer tv_wrong"),
		"an empty token":  metadata.Pairs("authorization", "Bearer "),
		"another scheme":  metadata.Pairs("authorization", "Basic "+s.Token.Reveal()),
		"no scheme":       metadata.Pairs("authorization", s.Token.Reveal()),
		"two credentials": metadata.Pairs("authorization", "Bearer "+s.Token.Reveal(), "authorization", "Bearer "+s.Token.Reveal()),
	} {
		t.Run(name, func(t *testing.T) {
			ctx := metadata.NewOutgoingContext(t.Context(), md)
			for rpc, call := range rpcs(tokenvaultv1.NewVaultServiceClient(conn)) {
				if err := call(ctx, "alice", "mailchimp"); status.Code(err) != codes.Unauthenticated || reason(err) != "CALLER_UNKNOWN" {
					t.Errorf("%s: %v", rpc, err)
				}
			}
			stream, err := reflection.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
			if err == nil {
				_, err = stream.Recv()
			}
			if status.Code(err) != codes.Unauthenticated {
				t.Errorf("reflection: %v", err)
			}
		})
	}
}

func TestTheBrowsersServiceIsNotOnThePublicListener(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	_, err := tokenvaultv1.NewOAuthServiceClient(s.Conn).Callback(t.Context(), &tokenvaultv1.CallbackRequest{})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("Callback over gRPC: %v", err)
	}
}

func TestHeadersOfARequestDoNotBecomeAnIdentity(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	bearer := "Bearer " + s.Token.Reveal()
	for _, name := range []string{"Grpc-Metadata-Authorization", "Grpc-Metadata-Authorization-Bin", "X-Authorization", "Grpcgateway-Authorization", "X-Forwarded-Authorization", "Cookie"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.GatewayURL+"/v1/connections?authorization=x", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(name, bearer)
		resp, err := new(http.Client).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if s.Body(resp); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: status %d, want 401", name, resp.StatusCode)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.GatewayURL+"/v1/connections", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", bearer)
	resp, err := new(http.Client).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if s.Body(resp); resp.StatusCode != http.StatusOK {
		t.Errorf("the right header: status %d, want 200", resp.StatusCode)
	}
}

func TestABadRequestNamesItsField(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	long := strings.Repeat("x", 257)
	connect := func(change func(*tokenvaultv1.ConnectRequest)) error {
		req := &tokenvaultv1.ConnectRequest{Subject: "alice", Provider: "mailchimp"}
		change(req)
		_, err := s.Client.Connect(t.Context(), req)
		return err
	}
	list := func(req *tokenvaultv1.ListConnectionsRequest) error {
		_, err := s.Client.ListConnections(t.Context(), req)
		return err
	}
	for _, row := range []struct {
		name  string
		err   error
		code  codes.Code
		field string
	}{
		{"no subject", connect(func(r *tokenvaultv1.ConnectRequest) { r.Subject = "" }), codes.InvalidArgument, "subject"},
		{"long subject", connect(func(r *tokenvaultv1.ConnectRequest) { r.Subject = long }), codes.InvalidArgument, "subject"},
		{"subject with a line break", connect(func(r *tokenvaultv1.ConnectRequest) { r.Subject = "a\nb" }), codes.InvalidArgument, "subject"},
		{"provider in capitals", connect(func(r *tokenvaultv1.ConnectRequest) { r.Provider = "Mailchimp" }), codes.InvalidArgument, "provider"},
		{"unknown provider", connect(func(r *tokenvaultv1.ConnectRequest) { r.Provider = "other" }), codes.NotFound, "provider"},
		{"label with a space", connect(func(r *tokenvaultv1.ConnectRequest) { r.Label = "a b" }), codes.InvalidArgument, "label"},
		{"scope with a space", connect(func(r *tokenvaultv1.ConnectRequest) { r.Scopes = []string{"a b"} }), codes.InvalidArgument, "scopes"},
		{"too many scopes", connect(func(r *tokenvaultv1.ConnectRequest) { r.Scopes = strings.Fields(strings.Repeat("a ", 101)) }), codes.InvalidArgument, "scopes"},
		{"return URL that is not allowed", connect(func(r *tokenvaultv1.ConnectRequest) { r.ReturnUrl = "https://evil.example/" }), codes.InvalidArgument, "return_url"},
		{"long login hint", connect(func(r *tokenvaultv1.ConnectRequest) { r.LoginHint = long }), codes.InvalidArgument, "login_hint"},
		{"page size", list(&tokenvaultv1.ListConnectionsRequest{PageSize: 1001}), codes.InvalidArgument, "page_size"},
		{"page token", list(&tokenvaultv1.ListConnectionsRequest{PageToken: "x"}), codes.InvalidArgument, "page_token"},
		{"status", list(&tokenvaultv1.ListConnectionsRequest{Status: 99}), codes.InvalidArgument, "status"},
	} {
		t.Run(row.name, func(t *testing.T) {
			field := ""
			for _, detail := range status.Convert(row.err).Details() {
				if bad, ok := detail.(*errdetails.BadRequest); ok {
					field = bad.GetFieldViolations()[0].GetField()
				}
			}
			if status.Code(row.err) != row.code || field != row.field {
				t.Errorf("%v naming %q, want %v naming %q", row.err, field, row.code, row.field)
			}
		})
	}
}
