package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/keepalive"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/loopback"
)

// Client uses one vault. It is safe for concurrent use; a program needs one.
type Client struct {
	addr  string
	api   http.RoundTripper
	conn  *grpc.ClientConn
	vault tokenvaultv1.VaultServiceClient
	cache *cache
	watch watcher
	// returnURL is where links lead back to when nothing else is said.
	returnURL string
	now       func() time.Time

	ctx        context.Context // ends with Close
	end        context.CancelFunc
	background sync.WaitGroup
}

// patience is how long a call of the vault may take where its context has no deadline.
const patience = 30 * time.Second

// alive finds connections that have broken without a sign. The vault cuts off whoever
// pings more often than every 20 seconds.
func alive() keepalive.ClientParameters {
	return keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}
}

// tries is how the client looks for a vault that has gone. gRPC's own pauses grow to two
// minutes.
func tries() grpc.ConnectParams {
	return grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 10 * time.Second},
		MinConnectTimeout: 10 * time.Second,
	}
}

// New returns a client of the vault at addr, a host:port. It does not wait for the
// vault: calls do. Off loopback it speaks TLS. It needs a credential: [WithToken],
// [WithTokenFile], [WithCertificateFiles], [WithSPIFFE], or a certificate by
// [WithTLSConfig].
//
// ctx has the values for what goes on in the background; its end ends nothing, [Client.Close] does.
func New(ctx context.Context, addr string, options ...Option) (*Client, error) {
	var conf config
	for _, option := range options {
		option(&conf)
	}
	target, onMachine, err := Target(addr)
	if err != nil {
		return nil, err
	}
	transport, err := conf.transport(onMachine)
	if err != nil {
		return nil, err
	}
	dial := []grpc.DialOption{
		grpc.WithTransportCredentials(transport), grpc.WithKeepaliveParams(alive()), grpc.WithConnectParams(tries()),
		grpc.WithDefaultServiceConfig(serviceConfig), grpc.WithChainUnaryInterceptor(bounded),
	}
	caller, err := conf.caller(showsCertificate(transport))
	if err != nil {
		return nil, err
	}
	if caller != nil {
		dial = append(dial, grpc.WithPerRPCCredentials(bearer{read: caller, secure: isSecure(transport)}))
	}
	conn, err := grpc.NewClient(target, append(dial, conf.dial...)...)
	if err != nil {
		return nil, fmt.Errorf("client: address %q: %w", addr, err)
	}
	c := &Client{
		addr: addr, api: conf.api, conn: conn, vault: tokenvaultv1.NewVaultServiceClient(conn), returnURL: conf.returnURL, now: conf.now,
		cache: newCache(conf.cacheSize), watch: watcher{log: cmp.Or(conf.log, slog.New(slog.DiscardHandler))},
	}
	if c.api == nil {
		c.api = http.DefaultTransport
	}
	if c.now == nil {
		c.now = time.Now
	}
	c.ctx, c.end = context.WithCancel(context.WithoutCancel(ctx))
	return c, nil
}

// Close ends the watch and the connection, and forgets all credentials. Calls under way
// fail.
func (c *Client) Close() error {
	c.end()
	c.watch.once.Do(func() {}) // from now on it does not begin
	err := c.conn.Close()
	c.background.Wait()
	c.cache.close()
	return err
}

// Vault returns the whole service, for what the client has no method for. Its errors
// are gRPC statuses.
func (c *Client) Vault() tokenvaultv1.VaultServiceClient { return c.vault }

// Conn returns the connection, for the vault's other services, such as AdminService. It
// ends with [Client.Close].
func (c *Client) Conn() grpc.ClientConnInterface { return c.conn }

// bounded gives a call a deadline where its context has none.
func bounded(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	return invoke(ctx, method, req, reply, cc, opts...)
}

// Target reads the host:port of a vault as [New] does: it returns what gRPC dials, and
// whether that is on this machine, where the connection has no TLS unless it is asked
// for. No host, and the unspecified one that servers listen on, are on this machine.
func Target(addr string) (target string, onMachine bool, err error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port == "" {
		return "", false, fmt.Errorf("client: %q is not an address: write host:port, such as 127.0.0.1:9090", addr)
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "", err == nil && ip.IsUnspecified() && ip.Is4():
		return net.JoinHostPort("127.0.0.1", port), true, nil
	case err == nil && ip.IsUnspecified():
		return net.JoinHostPort("::1", port), true, nil
	}
	return addr, loopback.IsHost(host), nil
}

// errNoCredential says what New needs.
var errNoCredential = errors.New("client: no credential to call the vault with: add WithToken, WithTokenFile, WithCertificateFiles or WithSPIFFE")
