package vaulttest_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// call is one cell of the grid: an RPC about names, either of which may be empty.
type call struct{ rpc, subject, provider string }

// gridCaller is a caller, and what it should be allowed, said without globs.
type gridCaller struct {
	rule    access.Rule
	allowed func(call) bool
}

func oneOf(name string, names ...string) bool { return slices.Contains(names, name) }

// namesNothing are RPCs whose requests name neither subject nor provider,
// namesSubject and namesProvider those that name one of them alone, and filters those
// that may leave either out.
func namesNothing(rpc string) bool  { return oneOf(rpc, "ListProviders", "VerifyAudit") }
func namesSubject(rpc string) bool  { return oneOf(rpc, "ConfirmConnection", "CreatePortalSession") }
func namesProvider(rpc string) bool { return oneOf(rpc, "RotateClientSecret") }
func filters(rpc string) bool       { return oneOf(rpc, "ListConnections", "WatchConnections") }

func gridCallers() map[string]gridCaller {
	everything := func(call) bool { return true }
	return map[string]gridCaller{
		"all":                   {access.Rule{Tenant: "default", RPCs: []string{"*"}, Providers: []string{"*"}, Subjects: []string{"*"}}, everything},
		"all of another tenant": {access.Rule{Tenant: "other", RPCs: []string{"*"}, Providers: []string{"*"}, Subjects: []string{"*"}}, everything},
		"reader of teams": {
			access.Rule{Tenant: "default", RPCs: []string{"Get*"}, Providers: []string{"mailchimp"}, Subjects: []string{"team-*"}},
			func(c call) bool {
				return oneOf(c.rpc, "GetCredentials", "GetConnection") && c.provider == "mailchimp" && oneOf(c.subject, "team-1", "team-2")
			},
		},
		"alice's": {
			access.Rule{Tenant: "default", RPCs: []string{"Connect", "Disconnect", "*APIKey"}, Providers: []string{"*"}, Subjects: []string{"alice"}},
			func(c call) bool {
				return oneOf(c.rpc, "Connect", "Disconnect", "SetAPIKey", "DeleteAPIKey") && c.subject == "alice"
			},
		},
		"watcher of acme": {
			access.Rule{Tenant: "default", RPCs: []string{"ListConnections", "WatchConnections"}, Providers: []string{"ac*"}, Subjects: []string{"alice", "team-2"}},
			func(c call) bool {
				return filters(c.rpc) && oneOf(c.provider, "acme", "") && oneOf(c.subject, "alice", "team-2", "")
			},
		},
		"operator": {
			access.Rule{Tenant: "default", RPCs: []string{"ListProviders", "VerifyAudit", "RotateClientSecret"}, Providers: []string{"acme"}},
			func(c call) bool { return namesNothing(c.rpc) || namesProvider(c.rpc) && c.provider == "acme" },
		},
		"maker of links to what it may not see": {
			access.Rule{Tenant: "default", RPCs: []string{"CreatePortalSession"}, Providers: []string{"*"}, Subjects: []string{"*"}}, func(call) bool { return false },
		},
		"without RPCs": {access.Rule{Tenant: "default", Providers: []string{"*"}, Subjects: []string{"*"}}, func(call) bool { return false }},
		"without providers": {access.Rule{Tenant: "default", RPCs: []string{"*"}, Subjects: []string{"*"}}, func(c call) bool {
			return namesNothing(c.rpc) || namesSubject(c.rpc) || filters(c.rpc) && c.provider == ""
		}},
		"without subjects": {access.Rule{Tenant: "default", RPCs: []string{"*"}, Providers: []string{"*"}}, func(c call) bool {
			return namesNothing(c.rpc) || namesProvider(c.rpc) || filters(c.rpc) && c.subject == ""
		}},
	}
}

// programsMethods are the RPCs of the services for programs, as the protos have
// them.
func programsMethods() []protoreflect.MethodDescriptor {
	var all []protoreflect.MethodDescriptor
	for _, file := range []protoreflect.FileDescriptor{tokenvaultv1.File_tokenvault_v1_vault_proto, tokenvaultv1.File_tokenvault_v1_admin_proto} {
		for i := range file.Services().Len() {
			for j := range file.Services().Get(i).Methods().Len() {
				all = append(all, file.Services().Get(i).Methods().Get(j))
			}
		}
	}
	return all
}

// do makes a call of any RPC, with the names that its request has.
func do(ctx context.Context, conn *grpc.ClientConn, m protoreflect.MethodDescriptor, c call) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req := dynamicpb.NewMessage(m.Input())
	for name, value := range map[protoreflect.Name]string{"subject": c.subject, "provider": c.provider} {
		if field := m.Input().Fields().ByName(name); field != nil {
			req.Set(field, protoreflect.ValueOfString(value))
		}
	}
	path := fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name())
	if !m.IsStreamingServer() {
		return conn.Invoke(ctx, path, req, dynamicpb.NewMessage(m.Output()))
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, path)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(req); err != nil {
		return err
	}
	return stream.RecvMsg(dynamicpb.NewMessage(m.Output()))
}

// TestTheGridOfCallersIsAsExpected makes every call that the rules tell apart: each
// caller, RPC, provider and subject.
func TestTheGridOfCallersIsAsExpected(t *testing.T) {
	callers := gridCallers()
	tokens := map[string]secret.String{}
	var rules []access.Rule
	for name, c := range callers {
		tokens[name] = access.GenerateToken()
		c.rule.Name, c.rule.Tokens = name, access.HashTokens(tokens[name])
		rules = append(rules, c.rule)
	}
	s := vaulttest.New(t, vaulttest.Config{Rules: rules, Audit: true})
	callers["a stranger"] = gridCaller{allowed: func(call) bool { return false }}
	tokens["a stranger"] = access.GenerateToken()
	cells := 0
	for name, caller := range callers {
		conn := s.Dial(tokens[name])
		for _, m := range programsMethods() {
			for _, subject := range []string{"alice", "team-1", "team-2", "team", ""} {
				for _, provider := range []string{"mailchimp", "acme", "unknown", ""} {
					c := call{string(m.Name()), subject, provider}
					code := status.Code(do(t.Context(), conn, m, c))
					if refused := code == codes.PermissionDenied || code == codes.Unauthenticated; refused == caller.allowed(c) {
						t.Errorf("%s: %s of subject %q, provider %q: %v; should be allowed: %v", name, c.rpc, subject, provider, code, !refused)
					}
					cells++
				}
			}
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
	if want := 11 * len(programsMethods()) * 5 * 4; cells != want {
		t.Errorf("%d cells, want %d", cells, want)
	}
}

// TestATenantIsAWorldOfItsOwn looks at the same names from two tenants.
func TestATenantIsAWorldOfItsOwn(t *testing.T) {
	other := access.GenerateToken()
	s := vaulttest.New(t, vaulttest.Config{Rules: []access.Rule{
		{Name: "other", Tenant: "other", Tokens: access.HashTokens(other), RPCs: []string{"*"}, Providers: []string{"*"}, Subjects: []string{"*"}},
	}})
	s.Connect("alice", "mailchimp", vaulttest.Ada)
	conn := s.Dial(other)
	defer conn.Close()
	c := tokenvaultv1.NewVaultServiceClient(conn)
	for _, m := range programsMethods() {
		if !oneOf(string(m.Name()), "GetCredentials", "GetConnection", "RefreshConnection", "Disconnect", "DeleteAPIKey") {
			continue // shows others below, or makes something of its own
		}
		if err := do(t.Context(), conn, m, call{string(m.Name()), "alice", "mailchimp"}); status.Code(err) != codes.NotFound {
			t.Errorf("%s from another tenant: %v, want NotFound", m.Name(), err)
		}
	}
	if list, err := c.ListConnections(t.Context(), &tokenvaultv1.ListConnectionsRequest{}); err != nil || len(list.GetConnections()) != 0 {
		t.Errorf("another tenant sees %v, %v", list, err)
	}
	if _, err := s.Client.GetCredentials(t.Context(), &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "mailchimp"}); err != nil {
		t.Errorf("after all that, in the connection's own tenant: %v", err)
	}
}
