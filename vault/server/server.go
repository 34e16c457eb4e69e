package server

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/test/bufconn"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/audit"
	"github.com/tokenvault/tokenvault/vault/netlimit"
)

// Config is what a Server is made of.
type Config struct {
	// Vault is the engine behind it.
	Vault *vault.Vault
	// Policy says who may call.
	Policy *access.Policy
	// Audit records what was decided about each call, before its answer leaves.
	// Nil: nothing is recorded.
	Audit *audit.Log
	// TLS is how the public listener is secured. It names the server's certificate,
	// and, where clients may show certificates of their own, what they are verified
	// against. Nil: plaintext, which is for loopback and for a proxy with TLS before it.
	TLS *tls.Config
	// Logger gets one line for each call that fails. Nil: none.
	Logger *slog.Logger
}

// Server is the vault on gRPC.
type Server struct {
	public  *grpc.Server
	gateway *grpc.Server
	health  *health.Server
	inside  *bufconn.Listener
	audit   *audit.Log         // may be nil
	endAll  context.CancelFunc // of streams
	calls   *underway
	// connections is how many the public listener has at most.
	connections int
}

// insideBuffer is in bytes.
const insideBuffer = 64 << 10

// New returns a Server. Run starts it.
func New(c Config) *Server { return newServer(c, publicLimits()) }

func newServer(c Config, public limits) *Server {
	log := c.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	stopping, endAll := context.WithCancel(context.Background()) // ended by stop
	calls := newUnderway()
	record := recorder{log: c.Audit, strangers: new(strangers), ids: newRequestIDs()}
	lines := newLineBounds()
	guardOf := func(l listener, limits limits) guard {
		return guard{
			listener: l, visits: newVisits(limits), methods: methods(), policy: c.Policy, vault: c.Vault,
			report: reporter{log: log, listener: l, lines: lines}, record: record,
			stopping: stopping, calls: calls,
		}
	}
	s := &Server{
		public:  newGRPC(guardOf(publicListener, public), transport(c.TLS)),
		gateway: newGRPC(guardOf(gatewayListener, gatewayLimits()), insecure.NewCredentials()),
		audit:   c.Audit,
		endAll:  endAll,
		calls:   calls,
		health:  health.NewServer(),
		inside:  bufconn.Listen(insideBuffer),

		connections: public.connections,
	}
	service := &vaultService{vault: c.Vault}
	tokenvaultv1.RegisterVaultServiceServer(s.public, service)
	tokenvaultv1.RegisterAdminServiceServer(s.public, &adminService{vault: c.Vault, audit: c.Audit})
	grpc_health_v1.RegisterHealthServer(s.public, s.health)
	reflection.Register(s.public)

	tokenvaultv1.RegisterVaultServiceServer(s.gateway, service)
	tokenvaultv1.RegisterOAuthServiceServer(s.gateway, &oauthService{vault: c.Vault, report: reporter{log: log, listener: gatewayListener, lines: lines}})
	tokenvaultv1.RegisterPortalServiceServer(s.gateway, &portalService{vault: c.Vault})
	return s
}

func newGRPC(g guard, transport credentials.TransportCredentials) *grpc.Server {
	return grpc.NewServer(append(g.visits.limits.options(),
		grpc.Creds(transport),
		grpc.InTapHandle(g.meet),
		grpc.ChainUnaryInterceptor(g.guardUnary, g.calmUnary),
		grpc.ChainStreamInterceptor(g.guardStream, g.calmStream),
	)...)
}

// DialGateway returns the in-process connection over which the gateway talks to
// the server. The caller closes it.
func (s *Server) DialGateway() (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:gateway",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return s.inside.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()), // memory of this process
	)
}

// Run serves the public listener and the gateway's connection until ctx ends,
// then refuses new calls, waits a while for those under way, and returns nil. It
// returns the error of a listener that fails. It closes lis.
func (s *Server) Run(ctx context.Context, lis net.Listener) error {
	s.tellHealth(grpc_health_v1.HealthCheckResponse_SERVING)
	watching, endWatch := context.WithCancel(ctx)
	defer endWatch()
	go s.watchAudit(watching)
	failed := make(chan error, 2)
	serve := func(g *grpc.Server, lis net.Listener) {
		err := g.Serve(lis)
		if errors.Is(err, grpc.ErrServerStopped) {
			err = nil // stopped before it had begun
		}
		failed <- err
	}
	go serve(s.public, netlimit.Listen(lis, s.connections, strangersAllowance()))
	go serve(s.gateway, s.inside)
	select {
	case <-ctx.Done():
		s.stop()
		return errors.Join(<-failed, <-failed)
	case err := <-failed:
		s.stop()
		return errors.Join(err, <-failed)
	}
}
