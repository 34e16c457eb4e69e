package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/tokenvault/tokenvault/gateway"
	"github.com/tokenvault/tokenvault/vault/certs"
	"github.com/tokenvault/tokenvault/vault/httpserve"
)

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
	go func() {
		done <- httpserve.Serve(ctx, gateway.NewServer(http.NotFoundHandler(), s.webTLS(), nil), lis)
	}()
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
