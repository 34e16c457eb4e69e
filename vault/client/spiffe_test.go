package client_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/client"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

const (
	mcpID   = "spiffe://example.org/mcp"
	vaultID = "spiffe://example.org/tokenvault"
)

// agent is the SPIFFE Workload API of a machine, on a socket, for one workload.
type agent struct {
	workload.UnimplementedSpiffeWorkloadAPIServer
	address string

	mu      sync.Mutex
	svid    *workload.X509SVID
	renewed chan struct{} // is closed when there is another
}

// newAgent starts an agent. stop stops it, which the test's end does too.
func newAgent(t *testing.T) (a *agent, stop func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "spiffe") // the test's own is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "agent.sock")
	lis, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	a = &agent{address: "unix://" + socket, renewed: make(chan struct{})}
	server := grpc.NewServer()
	workload.RegisterSpiffeWorkloadAPIServer(server, a)
	served := make(chan error, 1)
	go func() { served <- server.Serve(lis) }()
	stop = sync.OnceFunc(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return a, stop
}

// issue has the agent give out an SVID of an authority's.
func (a *agent) issue(t *testing.T, by *vaulttest.Authority, c vaulttest.ClientCert) {
	t.Helper()
	cert := by.Client(t, c)
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := os.ReadFile(by.File)
	if err != nil {
		t.Fatal(err)
	}
	root, _ := pem.Decode(bundle)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.svid = &workload.X509SVID{SpiffeId: c.SPIFFEID, X509Svid: cert.Certificate[0], X509SvidKey: key, Bundle: root.Bytes}
	close(a.renewed)
	a.renewed = make(chan struct{})
}

// FetchX509SVID implements workload.SpiffeWorkloadAPIServer.
func (a *agent) FetchX509SVID(_ *workload.X509SVIDRequest, stream grpc.ServerStreamingServer[workload.X509SVIDResponse]) error {
	if md, _ := metadata.FromIncomingContext(stream.Context()); len(md.Get("workload.spiffe.io")) != 1 {
		return status.Error(codes.InvalidArgument, "the security header is missing")
	}
	for {
		a.mu.Lock()
		svid, renewed := a.svid, a.renewed
		a.mu.Unlock()
		if err := stream.Send(&workload.X509SVIDResponse{Svids: []*workload.X509SVID{svid}}); err != nil {
			return err
		}
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-renewed:
		}
	}
}

// source returns a source as programs have it.
func (a *agent) source(t *testing.T) *workloadapi.X509Source {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	source, err := workloadapi.NewX509Source(ctx, workloadapi.WithClientOptions(workloadapi.WithAddr(a.address)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = source.Close() })
	return source
}

// newSPIFFE is a stack whose vault has a SPIFFE ID and knows a caller by one.
func newSPIFFE(t *testing.T, id string) *vaulttest.Stack {
	t.Helper()
	return vaulttest.New(t, vaulttest.Config{TLS: true, SPIFFEID: id, TokenLifetime: 24 * time.Hour, Rules: []access.Rule{
		rule(access.Rule{SPIFFEID: mcpID}, "GetCredentials"),
	}})
}

func TestProgramAndVaultKnowEachOtherBySPIFFEIDs(t *testing.T) {
	for _, row := range []struct {
		name, vault, program, wants string
		text                        string // of the error. Empty: there is none
	}{
		{"the vault's ID", vaultID, mcpID, vaultID, ""},
		{"the vault's trust domain", vaultID, mcpID, "spiffe://example.org", ""},
		{"another ID", "spiffe://example.org/imposter", mcpID, vaultID, "spiffe://example.org/imposter"},
		{"another trust domain", "spiffe://other.org/tokenvault", mcpID, vaultID, "cannot be reached"},
		{"a certificate without an ID", "", mcpID, vaultID, "cannot be reached"},
		{"a program that the vault does not know", vaultID, "spiffe://example.org/other", vaultID, "CALLER_UNKNOWN"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSPIFFE(t, row.vault)
			a, _ := newAgent(t)
			a.issue(t, s.Authority, vaulttest.ClientCert{SPIFFEID: row.program})
			r := rigOn(t, s, client.WithSPIFFE(a.source(t), row.wants), client.WithDialOptions(grpc.WithDisableRetry()))
			r.connect("alice", "acme")
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_, err := r.c.Credentials(ctx, "alice", "acme")
			switch {
			case row.text == "" && err != nil:
				t.Error(err)
			case row.text != "" && err == nil:
				t.Error("there are credentials, want an error")
			case row.text != "":
				wantText(t, err.Error(), row.text, s.Token.Reveal())
			}
		})
	}
}

func TestAVaultsSPIFFEIDIsChecked(t *testing.T) {
	a, _ := newAgent(t)
	a.issue(t, vaulttest.NewAuthority(t), vaulttest.ClientCert{SPIFFEID: mcpID})
	source := a.source(t)
	for _, id := range []string{"", "example.org", "https://example.org/tokenvault", "spiffe://example.org/"} {
		_, err := client.New(t.Context(), "127.0.0.1:1", client.WithSPIFFE(source, id))
		if err == nil {
			t.Errorf("%q: it begins, want an error", id)
			continue
		}
		wantText(t, err.Error(), "write one such as spiffe://example.org/tokenvault", "tv_canary")
	}
	if err := source.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := client.New(t.Context(), "127.0.0.1:1", client.WithSPIFFE(source, vaultID))
	if err == nil {
		t.Fatal("it begins without an SVID, want an error")
	}
	wantText(t, err.Error(), "get the X509-SVID", "tv_canary")
}

// TestAnSVIDIsReplacedBeforeItEnds has a connection begin with an SVID of seconds, and
// go on with the next, also when the agent has gone.
func TestAnSVIDIsReplacedBeforeItEnds(t *testing.T) {
	s := newSPIFFE(t, vaultID)
	a, stopAgent := newAgent(t)
	end := time.Now().Add(4 * time.Second)
	a.issue(t, s.Authority, vaulttest.ClientCert{SPIFFEID: mcpID, NotAfter: end})
	source := a.source(t)
	closed := make(chan struct{})
	var once sync.Once
	dial := func(ctx context.Context, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		return closing{conn, func() { once.Do(func() { close(closed) }) }}, err
	}
	r := rigOn(t, s, client.WithSPIFFE(source, vaultID), client.WithDialOptions(grpc.WithContextDialer(dial)))
	r.connect("alice", "acme")
	ask := func() {
		t.Helper()
		r.Clock.Advance(time.Minute) // beyond what is kept for who may not watch
		if _, err := r.c.Credentials(t.Context(), "alice", "acme"); err != nil {
			t.Error(err)
		}
	}
	r.Clock.Advance(-2 * time.Minute) // so that the first minutes do not end the SVID
	ask()
	a.issue(t, s.Authority, vaulttest.ClientCert{SPIFFEID: mcpID})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for svid, err := source.GetX509SVID(); ; svid, err = source.GetX509SVID() {
		if err != nil {
			t.Fatal(err)
		}
		if svid.Certificates[0].NotAfter.After(end.Add(time.Minute)) {
			break
		}
		if err := source.WaitUntilUpdated(ctx); err != nil {
			t.Fatal(err)
		}
	}
	stopAgent()
	r.await("the end of the connection with the old SVID", closed)
	if !time.Now().Before(end) {
		t.Log("the machine is slow: the SVID has ended before the connection did")
	}
	ask()
	ask() // a minute after the first SVID's end, by the vault's clock
}
