package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenvault/tokenvault/gateway"
	"github.com/tokenvault/tokenvault/vault/netlimit"
)

// pipeListener hands out one end of a pipe, once.
type pipeListener struct {
	conns  chan net.Conn
	broken chan error // what it fails with; nil: it does not
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case err := <-l.broken:
		return nil, err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error { close(l.closed); return nil }
func (*pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func TestARequestThatOutlastsThePatienceIsCutOffAndLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lis := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		entered := make(chan struct{})
		var out bytes.Buffer
		srv := &http.Server{ErrorLog: log.New(&out, "", 0), Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(entered)
			<-r.Context().Done()
		})}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- gateway.Serve(ctx, srv, lis) }()
		client, server := net.Pipe()
		defer client.Close()
		lis.conns <- server
		if _, err := client.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		<-entered
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve = %v", err)
		}
		if !strings.Contains(out.String(), "cut off") {
			t.Errorf("nothing of it in the log: %q", out.String())
		}
	})
}

// TestAListenerThatFailsCutsNobodyOff: what requests need may be closed when Serve
// returns.
func TestAListenerThatFailsCutsNobodyOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lis := &pipeListener{conns: make(chan net.Conn), broken: make(chan error), closed: make(chan struct{})}
		entered, finish, finished := make(chan struct{}), make(chan struct{}), false
		srv := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			close(entered)
			<-finish
			finished = true
		})}
		done := make(chan error, 1)
		go func() { done <- gateway.Serve(t.Context(), srv, lis) }()
		client, server := net.Pipe()
		defer client.Close()
		lis.conns <- server
		if _, err := client.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.Copy(io.Discard, client) }()
		<-entered
		broken := errors.New("the listener has failed")
		lis.broken <- broken
		synctest.Wait()
		close(finish)
		if err := <-done; !errors.Is(err, broken) || !finished {
			t.Errorf("Serve = %v, and the request was finished: %v", err, finished)
		}
	})
}

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
	go func() { done <- gateway.Serve(ctx, gateway.NewServer(g, nil, nil), raw) }()
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

func TestServingWithAnEndedContextIsNoError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := gateway.Serve(ctx, &http.Server{}, lis); err != nil {
			t.Fatal(err)
		}
	}
}
