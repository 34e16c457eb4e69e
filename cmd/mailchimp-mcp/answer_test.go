package main

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// oneConn is a listener with one connection.
type oneConn struct {
	conns chan net.Conn
	net.Listener
}

func (l oneConn) Accept() (net.Conn, error) {
	if c, ok := <-l.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l oneConn) Close() error { return nil }

// TestARefusalWaitsForNoBody: net/http reads on when a handler has refused a request, and
// answers when the body has come. Whoever keeps it back would hold the connection for good.
func TestARefusalWaitsForNoBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		lis := oneConn{conns: make(chan net.Conn, 1)}
		lis.conns <- ours
		s := newHTTPServer(withAnswerTime(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })), nil, slog.New(slog.DiscardHandler))
		go func() { _ = s.Serve(lis) }()
		defer func() { close(lis.conns); _ = s.Close() }()
		began := time.Now()
		if _, err := io.WriteString(theirs, "POST /mcp HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"); err != nil {
			t.Fatal(err)
		}
		_ = theirs.SetReadDeadline(time.Now().Add(time.Hour))
		resp, err := http.ReadResponse(bufio.NewReader(theirs), nil)
		if err != nil {
			t.Fatalf("the answer: %v", err)
		}
		_ = resp.Body.Close()
		if took := time.Since(began); resp.StatusCode != http.StatusUnauthorized || took > restPatience {
			t.Errorf("the answer is %d, after %v; want 401 within %v", resp.StatusCode, took, restPatience)
		}
		_ = theirs.Close()
	})
}
