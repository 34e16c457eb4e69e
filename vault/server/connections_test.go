package server

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
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

func TestConnectionsOfKnownCallersAreKeptAndThoseOfStrangersMakeRoom(t *testing.T) {
	token := access.GenerateToken()
	address, _ := serve(t, func(l *limits) { l.connections = 3 }, access.Rule{
		Name: "reader", Tokens: access.HashTokens(token), Tenant: "default", RPCs: []string{"GetCredentials"}, Providers: []string{"*"}, Subjects: []string{"alice"},
	})
	known, unknown := dial(t, address), dial(t, address)
	call := func(conn *grpc.ClientConn, token string) codes.Code {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
		_, err := tokenvaultv1.NewVaultServiceClient(conn).GetCredentials(ctx, &tokenvaultv1.GetCredentialsRequest{Subject: "bob", Provider: "acme"})
		return status.Code(err)
	}
	if got := call(known, token.Reveal()); got != codes.PermissionDenied {
		t.Fatalf("a known caller's call for a subject that is not his: %v", got)
	}
	if got := call(unknown, "wrong"); got != codes.Unauthenticated {
		t.Fatalf("a stranger's call: %v", got)
	}
	first := stranger(t, address)
	for range 10 {
		stranger(t, address)
	}
	wantEnd(t, first)
	for unknown.GetState() == connectivity.Ready {
		if !unknown.WaitForStateChange(t.Context(), connectivity.Ready) {
			t.Fatal("the stranger's connection is open still")
		}
	}
	if state := known.GetState(); state != connectivity.Ready {
		t.Errorf("the known caller's connection is %v, want it ready", state)
	}
	if got := call(known, token.Reveal()); got != codes.PermissionDenied {
		t.Errorf("the known caller's next call: %v", got)
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
