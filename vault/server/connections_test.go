package server

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/access"
)

// stranger opens a connection and says nothing.
func stranger(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// wantEnd reads until the server closes a connection.
func wantEnd(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	for buf := make([]byte, 1<<10); ; {
		_, err := conn.Read(buf)
		if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
			t.Fatal("the connection is open still")
		}
		if err != nil {
			return
		}
	}
}

// verifyAudit calls an RPC that a server without an engine has an answer to.
func verifyAudit(t *testing.T, conn *grpc.ClientConn, token string) codes.Code {
	t.Helper()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
	_, err := tokenvaultv1.NewAdminServiceClient(conn).VerifyAudit(ctx, &tokenvaultv1.VerifyAuditRequest{}, grpc.WaitForReady(true))
	return status.Code(err)
}

// answered is the code of that answer, since there is no audit log.
const answered = codes.FailedPrecondition

// wantGone waits until a connection is not ready any more.
func wantGone(t *testing.T, conn *grpc.ClientConn) {
	t.Helper()
	for conn.GetState() == connectivity.Ready {
		if !conn.WaitForStateChange(t.Context(), connectivity.Ready) {
			t.Fatal("the connection is open still")
		}
	}
}

func TestConnectionsOfCallersAreKeptAndThoseOfOthersMakeRoom(t *testing.T) {
	token, weak := access.GenerateToken(), access.GenerateToken()
	address, _ := serve(t, func(l *limits) { l.connections = 4 },
		access.Rule{Name: "reader", Tokens: access.HashTokens(token), Tenant: "default", RPCs: []string{"VerifyAudit"}},
		access.Rule{Name: "weak", Tokens: access.HashTokens(weak), Tenant: "default", RPCs: []string{"ListProviders"}},
	)
	known, refused, unknown := dial(t, address), dial(t, address), dial(t, address)
	if got := verifyAudit(t, known, token.Reveal()); got != answered {
		t.Fatalf("a known caller's call: %v", got)
	}
	if got := verifyAudit(t, refused, weak.Reveal()); got != codes.PermissionDenied {
		t.Fatalf("a known caller's call of an RPC that is not his: %v", got)
	}
	if got := verifyAudit(t, unknown, "wrong"); got != codes.Unauthenticated {
		t.Fatalf("a stranger's call: %v", got)
	}
	first := stranger(t, address)
	for range 10 {
		stranger(t, address)
	}
	wantEnd(t, first)
	wantGone(t, unknown)
	wantGone(t, refused)
	if state := known.GetState(); state != connectivity.Ready {
		t.Errorf("the known caller's connection is %v, want it ready", state)
	}
	if got := verifyAudit(t, known, token.Reveal()); got != answered {
		t.Errorf("the known caller's next call: %v", got)
	}
}

func TestACallerWithManyConnectionsKeepsNobodyOut(t *testing.T) {
	greedy, modest := access.GenerateToken(), access.GenerateToken()
	address, _ := serve(t, func(l *limits) { l.connections = 4 },
		access.Rule{Name: "greedy", Tokens: access.HashTokens(greedy), Tenant: "default", RPCs: []string{"VerifyAudit"}},
		access.Rule{Name: "modest", Tokens: access.HashTokens(modest), Tenant: "default", RPCs: []string{"VerifyAudit"}},
	)
	old := dial(t, address)
	if got := verifyAudit(t, old, modest.Reveal()); got != answered {
		t.Fatal(got)
	}
	for range 8 {
		if got := verifyAudit(t, dial(t, address), greedy.Reveal()); got != answered {
			t.Fatal(got)
		}
	}
	if state := old.GetState(); state != connectivity.Ready {
		t.Errorf("the modest caller's connection is %v, want it ready", state)
	}
	if got := verifyAudit(t, dial(t, address), modest.Reveal()); got != answered {
		t.Errorf("the modest caller on a new connection: %v", got)
	}
	if _, err := grpc_health_v1.NewHealthClient(dial(t, address)).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Errorf("a health check: %v", err)
	}
}

// hanging is an issuer that does not answer until proceed is closed.
type hanging struct {
	*httptest.Server
	asked, proceed chan struct{}
}

func newHanging(t *testing.T) *hanging {
	t.Helper()
	h := &hanging{asked: make(chan struct{}), proceed: make(chan struct{})}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.asked <- struct{}{}
		<-h.proceed
		http.NotFound(w, r)
	}))
	t.Cleanup(h.Close)
	return h
}

// forged is a token that says it is the issuer's.
func (h *hanging) forged() string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"ES256"}`)) + "." + part(fmt.Appendf(nil, `{"iss":%q,"exp":9999999999}`, h.URL)) + "." + part(make([]byte, 64))
}

func TestAConnectionStaysWhileItsCallersIssuerIsAsked(t *testing.T) {
	issuer := newHanging(t)
	policy, err := access.NewPolicy(access.Config{Issuers: []access.Issuer{{URL: issuer.URL}}, Rules: []access.Rule{
		{Name: "a", Tenant: "t", JWT: &access.JWT{Issuer: issuer.URL, Audience: "a", Subject: "s"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	address, _ := servePolicy(t, policy, nil, func(l *limits) { l.connections = 2 })
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+issuer.forged())
	client, ended := tokenvaultv1.NewAdminServiceClient(dial(t, address)), make(chan error)
	go func() {
		_, err := client.VerifyAudit(ctx, &tokenvaultv1.VerifyAuditRequest{})
		ended <- err
	}()
	<-issuer.asked
	first := stranger(t, address)
	stranger(t, address)
	wantEnd(t, first)
	close(issuer.proceed)
	if err := <-ended; reasonOf(err) != "ISSUER_UNAVAILABLE" {
		t.Errorf("the call ended with %v, want it answered: ISSUER_UNAVAILABLE", err)
	}
}

func TestAStrangerCannotGoOnForever(t *testing.T) {
	address, _ := serve(t, nil)
	var nothing bytes.Buffer
	for range 1000 {
		if err := writeFrame(&nothing, frameContinuation, 0, 1, nil); err != nil {
			t.Fatal(err)
		}
	}
	conn := stranger(t, address)
	_, err := io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	err = errors.Join(err, writeFrame(conn, frameSettings, 0, 0, nil), writeFrame(conn, frameHeaders, 0, 1, headerBomb(0)))
	sent := 0
	for ; err == nil && sent < 64<<20; sent += nothing.Len() {
		_, err = conn.Write(nothing.Bytes())
	}
	if err == nil {
		t.Errorf("a stranger sent %d KiB in empty frames, and could go on", sent>>10)
	}
}
