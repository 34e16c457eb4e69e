package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tokenvault/tokenvault/vault/certs"
)

// pipeListener hands out one end of a pipe, once.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
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
		go func() { done <- serveHTTP(ctx, srv, lis) }()
		client, server := net.Pipe()
		defer client.Close()
		lis.conns <- server
		if _, err := client.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		<-entered
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serveHTTP = %v", err)
		}
		if !strings.Contains(out.String(), "cut off") {
			t.Errorf("nothing of it in the log: %q", out.String())
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
		if err := serveHTTP(ctx, &http.Server{}, lis); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBrowsersHaveHTTP2AndHTTP1OverTLS(t *testing.T) {
	dir := scriptCertificates(t)
	keeper, err := certs.Open(certs.Files{
		Certificate: filepath.Join(dir, "server.crt"), Key: filepath.Join(dir, "server.key"), ClientAuthorities: filepath.Join(dir, "ca.crt"),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := stack{certs: keeper}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- serveHTTP(ctx, &http.Server{Handler: http.NotFoundHandler()}, s.secured(lis)) }()
	ca, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, wantHTTP2 := range []bool{true, false} {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(ca)
		transport := &http.Transport{ForceAttemptHTTP2: wantHTTP2, TLSClientConfig: &tls.Config{
			RootCAs: pool,
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				t.Error("a browser is asked for a certificate")
				return new(tls.Certificate), nil
			},
		}}
		resp, err := (&http.Client{Transport: transport}).Get("https://" + lis.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if (resp.ProtoMajor == 2) != wantHTTP2 || resp.TLS.Version != tls.VersionTLS13 {
			t.Errorf("got %s and TLS %x; wanted HTTP/2: %v", resp.Proto, resp.TLS.Version, wantHTTP2)
		}
		transport.CloseIdleConnections()
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
