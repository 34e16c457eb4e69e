package vaulttest_test

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/audit"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// record reads the audit log, with what a moment ago was in its journal only.
func record(t *testing.T, s *vaulttest.Stack) []byte {
	t.Helper()
	if _, err := s.Audit.Verify(); err != nil { // has the file hold everything
		t.Fatal(err)
	}
	content, err := os.ReadFile(s.AuditPath)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// entries takes the audit log apart.
func entries(t *testing.T, s *vaulttest.Stack) []audit.Entry {
	t.Helper()
	var all []audit.Entry
	for text := range bytes.Lines(record(t, s)) {
		line, err := audit.ParseLine(bytes.TrimSuffix(text, []byte("\n")))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if line.Entry != nil {
			all = append(all, *line.Entry)
		}
	}
	return all
}

// what is said of an entry in these tests.
func what(e audit.Entry) string {
	return strings.Join([]string{e.RPC, string(e.Outcome), e.Reason, e.Caller, e.Subject, e.Provider}, " ")
}

func TestEveryDecisionIsOnRecord(t *testing.T) {
	limited := access.GenerateToken()
	s := vaulttest.New(t, vaulttest.Config{Audit: true, Rules: []access.Rule{{
		Name: "limited", Tokens: access.HashTokens(limited), Tenant: "other", RPCs: []string{"GetConnection"}, Providers: []string{"*"}, Subjects: []string{"bob"},
	}}})
	s.Connect("alice", "mailchimp", vaulttest.Ada)
	creds := credentials(t, s, "alice", "mailchimp")
	ctx := t.Context()
	asLimited := tokenvaultv1.NewVaultServiceClient(s.Dial(limited))
	_, _ = asLimited.GetCredentials(ctx, &tokenvaultv1.GetCredentialsRequest{Subject: "bob", Provider: "mailchimp"})
	_, _ = asLimited.GetConnection(ctx, &tokenvaultv1.GetConnectionRequest{Subject: "alice", Provider: "mailchimp"})
	_, _ = asLimited.GetConnection(ctx, &tokenvaultv1.GetConnectionRequest{Subject: "bob", Provider: "mailchimp"})
	_, _ = tokenvaultv1.NewVaultServiceClient(s.Dial(access.GenerateToken())).GetCredentials(ctx, &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "mailchimp"})
	_, _ = http.Get(s.GatewayURL + "/oauth/mailchimp/callback?state=forged&code=x")
	traced := metadata.AppendToOutgoingContext(ctx, "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if _, err := s.Client.Disconnect(traced, &tokenvaultv1.DisconnectRequest{Subject: "alice", Provider: "mailchimp"}); err != nil {
		t.Fatal(err)
	}
	var got []string
	all := entries(t, s)
	for _, e := range all {
		got = append(got, what(e))
	}
	if diff := cmp.Diff([]string{
		"Connect allowed  everything alice mailchimp",
		"Authorize allowed    mailchimp",
		"Callback allowed   alice mailchimp",
		"GetCredentials allowed  everything alice mailchimp",
		"GetCredentials denied CALLER_FORBIDDEN limited bob mailchimp",
		"GetConnection denied CALLER_FORBIDDEN limited alice mailchimp",
		"GetConnection failed NOT_CONNECTED limited bob mailchimp",
		"GetCredentials denied CALLER_UNKNOWN   ",
		"Callback failed SESSION_EXPIRED   mailchimp",
		"Disconnect allowed  everything alice mailchimp",
	}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	read, last := all[3], all[len(all)-1]
	if read.Generation != creds.GetGeneration() || read.Token == "" || read.Peer == "" || read.RequestID == "" || read.Tenant != "default" {
		t.Errorf("a read is recorded as %+v", read)
	}
	if last.TraceID != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("trace = %q", last.TraceID)
	}
	content := record(t, s)
	for name, canary := range map[string]string{"access token": creds.GetOauth2().GetAccessToken(), "caller token": s.Token.Reveal()} {
		if bytes.Contains(content, []byte(canary)) {
			t.Errorf("the %s is in the log", name)
		}
	}
}

func TestTheEndOfAWatchIsOnRecord(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{Audit: true})
	ctx, leave := context.WithCancel(t.Context())
	left, err := s.Client.WatchConnections(ctx, &tokenvaultv1.WatchConnectionsRequest{Subject: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	receive(t, left)
	watch(t, s.Client, &tokenvaultv1.WatchConnectionsRequest{Subject: "bob"})
	expired, err := s.Client.WatchConnections(t.Context(), &tokenvaultv1.WatchConnectionsRequest{Subject: "carol", ResumeToken: "made up"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := expired.Recv(); err == nil {
		t.Fatal("a watch goes on from a made-up resume token")
	}
	leave()
	if _, err := left.Recv(); err == nil {
		t.Fatal("a watch goes on that its caller has left")
	}
	// The stream's reset is on its way. What comes after it on the connection is
	// answered when the server knows.
	_, _ = s.Client.GetConnection(t.Context(), &tokenvaultv1.GetConnectionRequest{Subject: "dave", Provider: "mailchimp"})
	s.Restart()
	begun, ended := map[string]string{}, map[string]string{}
	for _, e := range entries(t, s) {
		switch {
		case e.RPC != "WatchConnections":
		case e.Ended:
			ended[e.Subject] = strings.Join([]string{string(e.Outcome), e.Reason, e.Caller}, " ")
			if begun[e.Subject] != e.RequestID {
				t.Errorf("the watch of %s began as %q and ended as %q", e.Subject, begun[e.Subject], e.RequestID)
			}
		default:
			begun[e.Subject] = e.RequestID
		}
	}
	if diff := cmp.Diff(map[string]string{
		"alice": "allowed CALLER_GONE everything",
		"bob":   "allowed STOPPING everything",
		"carol": "failed INVALID_RESUME_TOKEN everything",
	}, ended); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatCannotBeRecordedDoesNotHappen(t *testing.T) {
	t.Parallel() // health is looked at once a second
	s := vaulttest.New(t, vaulttest.Config{Audit: true})
	s.Connect("alice", "mailchimp", vaulttest.Ada)
	folder := filepath.Dir(s.AuditPath)
	if err := os.Rename(folder, folder+".away"); err != nil {
		t.Fatal(err)
	}
	if err := s.Audit.Reopen(t.Context()); err == nil {
		t.Fatal("a log without a folder was opened")
	}
	_, err := s.Client.GetCredentials(t.Context(), &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "mailchimp"})
	wantError(t, err, codes.Unavailable, "AUDIT_UNAVAILABLE")
	_, err = s.Client.Disconnect(t.Context(), &tokenvaultv1.DisconnectRequest{Subject: "alice", Provider: "mailchimp"})
	wantError(t, err, codes.Unavailable, "AUDIT_UNAVAILABLE")
	wantHealth(t, s, grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	if err := os.Rename(folder+".away", folder); err != nil {
		t.Fatal(err)
	}
	if err := s.Audit.Reopen(t.Context()); err != nil {
		t.Fatal(err)
	}
	credentials(t, s, "alice", "mailchimp") // the disconnect has not happened
	wantHealth(t, s, grpc_health_v1.HealthCheckResponse_SERVING)
}

// wantHealth waits until health says so.
func wantHealth(t *testing.T, s *vaulttest.Stack, want grpc_health_v1.HealthCheckResponse_ServingStatus) {
	t.Helper()
	watch, err := grpc_health_v1.NewHealthClient(s.Conn).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "tokenvault.v1.VaultService"})
	if err != nil {
		t.Fatal(err)
	}
	for {
		resp, err := watch.Recv()
		if err != nil {
			t.Fatalf("health did not become %v: %v", want, err)
		}
		if resp.GetStatus() == want {
			return
		}
	}
}

func TestAVaultVerifiesItsOwnLogWhileItRuns(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{Audit: true})
	s.Connect("alice", "mailchimp", vaulttest.Ada)
	admin := tokenvaultv1.NewAdminServiceClient(s.Conn)
	resp, err := admin.VerifyAudit(t.Context(), &tokenvaultv1.VerifyAuditRequest{})
	if err != nil || len(resp.GetProblems()) != 0 || resp.GetEntries() != 3 {
		t.Errorf("VerifyAudit = %v, %v; want three entries as they were written", resp, err)
	}
	edit(t, s, "alice", "mallo")
	if resp, err = admin.VerifyAudit(t.Context(), &tokenvaultv1.VerifyAuditRequest{}); err != nil || len(resp.GetProblems()) == 0 {
		t.Errorf("VerifyAudit = %v, %v; want that a line was changed", resp, err)
	}
	edit(t, s, "mallo", "alice")
	s.Restart()
	if resp, err = tokenvaultv1.NewAdminServiceClient(s.Conn).VerifyAudit(t.Context(), &tokenvaultv1.VerifyAuditRequest{}); err != nil || len(resp.GetProblems()) != 0 {
		t.Errorf("after a restart: %v, %v", resp, err)
	}
}

// edit replaces the first of a word in the audit log's file, once that has all there is:
// what the vault writes at the same moment would be lost.
func edit(t *testing.T, s *vaulttest.Stack, before, after string) {
	t.Helper()
	if _, err := s.Audit.Verify(); err != nil { // has the file hold everything
		t.Fatal(err)
	}
	content, err := os.ReadFile(s.AuditPath)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.AuditPath, bytes.Replace(content, []byte(before), []byte(after), 1), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestStrangersDoNotFillTheLog(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{Audit: true})
	stranger := tokenvaultv1.NewVaultServiceClient(s.Dial(access.GenerateToken()))
	const calls = 500
	began := time.Now()
	for range calls {
		_, err := stranger.ListConnections(t.Context(), &tokenvaultv1.ListConnectionsRequest{Subject: strings.Repeat("x", 200)})
		wantError(t, err, codes.Unauthenticated, "CALLER_UNKNOWN")
	}
	counted := 0
	all := entries(t, s)
	for _, e := range all {
		counted += max(e.Count, 1)
		if e.Subject != "" {
			t.Error("what a stranger asked for is in the log")
		}
	}
	seconds := int(time.Since(began)/time.Second) + 2
	if len(all) > 20*seconds || counted > calls {
		t.Errorf("%d entries for %d calls in %d seconds, want at most 20 each second", len(all), calls, seconds)
	}
}

func TestForgedCallbacksDoNotFillTheLog(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{Audit: true})
	browser := tokenvaultv1.NewOAuthServiceClient(s.Dial(secret.String{}))
	const calls = 500
	began := time.Now()
	for range calls {
		_, err := browser.Callback(t.Context(), &tokenvaultv1.CallbackRequest{Provider: "no such\x1b provider", Code: "c", State: "s"})
		if err == nil {
			t.Fatal("a forged callback went through")
		}
	}
	all := entries(t, s)
	for _, e := range all {
		if e.Provider != "" {
			t.Errorf("provider %q is in the log, as a stranger wrote it", e.Provider)
		}
	}
	seconds := int(time.Since(began)/time.Second) + 2
	if len(all) > 20*seconds {
		t.Errorf("%d entries for %d callbacks in %d seconds, want at most 20 each second", len(all), calls, seconds)
	}
}
