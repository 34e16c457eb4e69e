package httpserve_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tokenvault/tokenvault/vault/httpserve"
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
		go func() { done <- httpserve.Serve(ctx, srv, lis) }()
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
		go func() { done <- httpserve.Serve(t.Context(), srv, lis) }()
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

func TestServingWithAnEndedContextIsNoError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := httpserve.Serve(ctx, &http.Server{}, lis); err != nil {
			t.Fatal(err)
		}
	}
}
