package vaulttest_test

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

func list(t *testing.T, conn *grpc.ClientConn) error {
	t.Helper()
	defer conn.Close()
	_, err := tokenvaultv1.NewVaultServiceClient(conn).ListConnections(t.Context(), &tokenvaultv1.ListConnectionsRequest{})
	return err
}

func TestAFlowWithTLSAtBothListeners(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{TLS: true})
	if !strings.HasPrefix(s.GatewayURL, "https://") {
		t.Fatalf("the gateway is at %s", s.GatewayURL)
	}
	if code, page := s.Connect("alice", "acme", vaulttest.Ada); code != http.StatusOK {
		t.Fatalf("the flow ended at %d:\n%s", code, page)
	}
	if _, err := s.Client.GetCredentials(t.Context(), &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "acme"}); err != nil {
		t.Error(err)
	}
}

func TestAListenerWithTLSTakesNoPlaintext(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{TLS: true})
	conn, err := grpc.NewClient(s.GRPCAddress, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithPerRPCCredentials(s.Credentials()))
	if err != nil {
		t.Fatal(err)
	}
	if err := list(t, conn); status.Code(err) != codes.Unavailable {
		t.Errorf("error = %v, want Unavailable", err)
	}
}

func TestClientCertificatesAreVerifiedWhereShown(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{TLS: true})
	const id = "spiffe://example.org/mcp"
	good := s.Authority.Client(t, vaulttest.ClientCert{SPIFFEID: id})
	expired := s.Authority.Client(t, vaulttest.ClientCert{SPIFFEID: id, NotAfter: time.Now().Add(-time.Minute)})
	server := s.Authority.Client(t, vaulttest.ClientCert{SPIFFEID: id, ForServers: true})
	other := vaulttest.NewAuthority(t).Client(t, vaulttest.ClientCert{SPIFFEID: id})
	for _, row := range []struct {
		name string
		cert *tls.Certificate
		want codes.Code
	}{
		{"none", nil, codes.OK},
		{"a good one", &good, codes.OK},
		{"one that has expired", &expired, codes.Unavailable},
		{"a server's", &server, codes.Unavailable},
		{"another authority's", &other, codes.Unavailable},
	} {
		if err := list(t, s.DialTLS(s.Token, row.cert)); status.Code(err) != row.want {
			t.Errorf("%s: error = %v, want %v", row.name, err, row.want)
		}
	}
}
