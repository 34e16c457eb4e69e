package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/tokenvault/tokenvault/gateway"
	"github.com/tokenvault/tokenvault/vault/httpserve"
	"github.com/tokenvault/tokenvault/vault/netlimit"
)

// seat listens on loopback.
func seat(t *testing.T) net.Listener {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return lis
}

// said opens a connection and sends a text.
func said(t *testing.T, address net.Addr, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

// answer reads all that comes on a connection, until it ends.
func answer(t *testing.T, conn net.Conn) string {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	text, err := io.ReadAll(conn)
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		t.Error("the connection is open still")
	}
	return string(text)
}

func TestAConnectionIsHeldWhileTheVaultWorksOnItsRequest(t *testing.T) {
	g, srv := newGateway(t, "https://connect.example.com")
	srv.entered, srv.proceed = make(chan struct{}), make(chan struct{})
	raw := seat(t)
	web := gateway.NewServer(g, nil, nil)
	go func() { _ = web.Serve(netlimit.Listen(raw, 2, netlimit.Allowance{})) }()
	t.Cleanup(func() { _ = web.Close() })

	working := said(t, raw.Addr(), "GET /v1/connections HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	<-srv.entered
	for name, begun := range map[string]string{
		"nothing": "", "half a header": "GET / HTTP/1.1\r\nHost: x\r\nX-", "no body": "POST /v1/connections:confirm HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n",
	} {
		slow := said(t, raw.Addr(), begun)
		said(t, raw.Addr(), "")
		if got := answer(t, slow); got != "" {
			t.Errorf("%s: answered %q", name, got)
		}
	}
	close(srv.proceed)
	if got := answer(t, working); !strings.HasPrefix(got, "HTTP/1.1 200 OK") {
		t.Errorf("the request that the vault was working on: %q", got)
	}
}

func TestARequestCountsForMoreWhileItsBodyComes(t *testing.T) {
	g, srv := newGateway(t, "https://connect.example.com")
	srv.entered, srv.proceed = make(chan struct{}), make(chan struct{})
	raw := seat(t)
	web := gateway.NewServer(g, nil, nil)
	go func() { _ = web.Serve(netlimit.Listen(raw, 4, netlimit.Allowance{})) }()
	t.Cleanup(func() { _ = web.Close() })

	idle := said(t, raw.Addr(), "")
	body := `{"label":"x"}`
	whole := said(t, raw.Addr(), fmt.Sprintf("POST /v1/subjects/alice/connections/acme:connect HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	<-srv.entered
	slow := said(t, raw.Addr(), "POST /v1/connections:confirm HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n{")
	for _, conn := range []net.Conn{idle, slow} {
		if got := answer(t, conn); got != "" {
			t.Errorf("answered %q, want the connection to have made room", got)
		}
	}
	close(srv.proceed)
	if got := answer(t, whole); !strings.HasPrefix(got, "HTTP/1.1 200 OK") {
		t.Errorf("the request that the vault was working on: %q", got)
	}
}

func TestAHeaderHasALimit(t *testing.T) {
	g, _ := newGateway(t, "https://connect.example.com")
	raw := seat(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- httpserve.Serve(ctx, gateway.NewServer(g, nil, nil), raw) }()
	for size, want := range map[int]string{16 << 10: "HTTP/1.1 200 OK", 40 << 10: "HTTP/1.1 431 Request Header Fields Too Large"} {
		conn := said(t, raw.Addr(), "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: "+strings.Repeat("x", size)+"\r\n\r\n")
		if got := answer(t, conn); !strings.HasPrefix(got, want) {
			t.Errorf("%d bytes: answered %.100q, want %s", size, got, want)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
