package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/tokenvault/tokenvault/vault/certs"
	"github.com/tokenvault/tokenvault/vault/client/mcpauth"
	"github.com/tokenvault/tokenvault/vault/httpserve"
	"github.com/tokenvault/tokenvault/vault/loopback"
)

// Limits of one connection. How many there are is netlimit's.
const (
	headerPatience = 10 * time.Second
	idlePatience   = 2 * time.Minute
	maxHeader      = 16 << 10 // bytes
)

// runHTTP serves many people, or one, until ctx ends.
func (o *options) runHTTP(cmd *cobra.Command, log *slog.Logger) (err error) {
	ctx, f := cmd.Context(), &o.http
	if err := f.check(&o.vault); err != nil {
		return err
	}
	keeper, err := f.openCerts(log)
	if err != nil {
		return err
	}
	lis, err := listen(ctx, f.addr)
	if err != nil {
		return err
	}
	defer func() { _ = lis.Close() }() // again, where it was served
	origin := f.origin(lis.Addr().String())
	who, err := f.newSignIn(&o.vault, origin+mcpPath, log)
	if err != nil {
		return err
	}
	p := people{subject: who.subject, onThisMachine: who.one && isLoopbackURL(origin)}
	if p.stateKey, err = f.readStateKey(); err != nil {
		return err
	}
	config, end, err := openBackend(ctx, &o.vault, p, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	config.AllowWrites = o.allowWrites
	server := newMCPServer(config, log)
	server.AddReceivingMiddleware((&sessions{}).bound, boundCalls)
	stopping, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	if config.Auth != nil { // calls that wait for people end, as streams do
		defer context.AfterFunc(stopping, func() { _ = config.Auth.Close() })()
	}
	web := newHTTPServer(f.handler(stopping, server, who, origin, log), keeper, log)
	web.RegisterOnShutdown(stop) // streams and calls that wait
	log.Info("serving", slog.String("http", lis.Addr().String()), slog.String("mcp", origin+mcpPath), slog.Bool("tls", keeper != nil))
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return httpserve.Serve(ctx, web, lis) })
	group.Go(func() error { who.checkIssuer(ctx, log); return nil })
	if keeper != nil {
		group.Go(func() error { return keeper.Run(ctx) })
	}
	err = group.Wait()
	log.Info("stopped")
	return err
}

// openCerts opens the server's certificates. Nil: there are none.
func (f *httpFlags) openCerts(log *slog.Logger) (*certs.Keeper, error) {
	if f.cert == "" {
		return nil, nil
	}
	keeper, err := certs.Open(certs.Files{Certificate: f.cert, Key: f.key}, log)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert, --tls-key: %w", err)
	}
	return keeper, nil
}

func listen(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	lis, err := lc.Listen(ctx, "tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("--http: the address %s is in use: stop what is using it, or choose another", addr)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("--http: this user may not listen on %s: choose another address, such as one with a port above 1023", addr)
	case err != nil:
		return nil, fmt.Errorf("--http: %w: choose another address", err)
	}
	return lis, nil
}

func isLoopbackURL(origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && loopback.IsHost(u.Hostname())
}

// handler serves MCP to those who show who they are, and to everybody where they sign in.
func (f *httpFlags) handler(stopping context.Context, server *mcp.Server, who *signIn, origin string, log *slog.Logger) http.Handler {
	protocol := mcpauth.HTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{
		Logger: protocolLog(log), SessionTimeout: sessionTimeout, MaxRequestBodyBytes: maxBody, PropagateRequestCancellation: true,
		DisableLocalhostProtection: true, // which knows no public URL: refuseForeignPages does
	})
	options := &auth.RequireBearerTokenOptions{Scopes: f.scopes, AllowMissingExpiration: who.one}
	mux := http.NewServeMux()
	if f.issuer != "" {
		options.ResourceMetadataURL = origin + metadataPath + mcpPath
		f.handleMetadata(mux, origin+mcpPath)
	}
	known := auth.RequireBearerToken(who.verify, options)(boundRequests(keepConnections(readBodies(streams(stopping, protocol)))))
	mux.Handle(mcpPath, refuseForeignPages(origin, known))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	return withAnswerTime(recoverPanics(log, mux))
}

func newHTTPServer(handler http.Handler, keeper *certs.Keeper, log *slog.Logger) *http.Server {
	var config *tls.Config
	if keeper != nil {
		config = keeper.ServerConfig("h2", "http/1.1")
	}
	return &http.Server{
		Handler: handler, TLSConfig: config, ConnContext: httpserve.WithConnection,
		ReadHeaderTimeout: headerPatience, IdleTimeout: idlePatience, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}
