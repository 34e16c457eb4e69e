package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/tokenvault/tokenvault/cmd/tokenvault/internal/config"
	"github.com/tokenvault/tokenvault/gateway"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/audit"
	"github.com/tokenvault/tokenvault/vault/certs"
	"github.com/tokenvault/tokenvault/vault/httpserve"
	"github.com/tokenvault/tokenvault/vault/keyring"
	"github.com/tokenvault/tokenvault/vault/login"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/server"
	"github.com/tokenvault/tokenvault/vault/store"
	"github.com/tokenvault/tokenvault/vault/store/boltstore"
)

// stack is a vault with its servers, wired but not yet serving.
type stack struct {
	store  store.Store
	vault  *vault.Vault
	audit  *audit.Log    // nil: none is kept
	certs  *certs.Keeper // nil: plaintext
	log    *slog.Logger
	server *server.Server
	inside *grpc.ClientConn
	http   *http.Server
}

// newStack opens the database and wires what the configuration says.
func newStack(ctx context.Context, c *config.Config, log *slog.Logger) (_ *stack, err error) {
	policy, err := access.NewPolicy(c.Access)
	if err != nil {
		return nil, err
	}
	providers, err := newProviders(c.Providers)
	if err != nil {
		return nil, err
	}
	s := &stack{log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	db, err := boltstore.OpenOrCreate(c.BoltPath, vault.WatchedKinds()...)
	if err != nil {
		return nil, err
	}
	s.store = db
	keys, err := vault.OpenKeyring(ctx, s.store, c.MasterKey)
	if err != nil {
		return nil, errNotOpened(c, err)
	}
	s.vault, err = vault.New(ctx, vault.Config{
		Store: s.store, Keyring: keys, Providers: providers, PublicURL: c.PublicURL,
		ReturnURLs: c.ReturnURLs, Binding: c.Binding, Identity: identityProvider(c), IdentityTenant: c.LoginTenant, ConsentPage: c.ConsentPage, Portal: c.Portal, Logger: log,
	})
	if err != nil {
		return nil, err
	}
	if s.audit, err = openAudit(ctx, c.AuditPath, s.store, keys, log); err != nil {
		return nil, err
	}
	if c.TLS != (certs.Files{}) {
		if s.certs, err = certs.Open(c.TLS, log); err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
	}
	s.server = server.New(server.Config{Vault: s.vault, Policy: policy, Audit: s.audit, TLS: s.grpcTLS(), Logger: log})
	return s, s.addGateway(ctx, c, log)
}

// identityProvider is who signs people in. Nil: nobody does.
func identityProvider(c *config.Config) vault.IdentityProvider {
	if c.Login == nil {
		return nil
	}
	return login.New(*c.Login)
}

// errNotOpened says why the keyring of a database was not.
func errNotOpened(c *config.Config, cause error) error {
	switch {
	case errors.Is(cause, keyring.ErrWrongMasterKey):
		return fmt.Errorf("the database %s does not open with the master key of %s (%w): refer to the right key with master_key, or name another database with storage.bolt.path", c.BoltPath, c.MasterKeySource, cause)
	case errors.Is(cause, store.ErrNotFound):
		return fmt.Errorf("the database %s is new, and no vault has used it: name another with storage.bolt.path", c.BoltPath)
	}
	return fmt.Errorf("open the database %s: %w", c.BoltPath, cause)
}

// grpcTLS secures the programs' listener. Nil: plaintext.
func (s *stack) grpcTLS() *tls.Config {
	if s.certs == nil {
		return nil
	}
	return s.certs.ServerConfigWithClients("h2")
}

// webTLS secures the browsers' listener. Nil: plaintext.
func (s *stack) webTLS() *tls.Config {
	if s.certs == nil {
		return nil
	}
	return s.certs.ServerConfig("h2", "http/1.1")
}

// runCerts keeps the certificates in step with their files.
func (s *stack) runCerts(ctx context.Context) error {
	if s.certs == nil {
		return nil
	}
	return s.certs.Run(ctx)
}

func newProviders(configs []provider.Config) ([]*provider.Provider, error) {
	var providers []*provider.Provider
	for _, c := range configs {
		p, err := provider.New(c)
		if err != nil {
			return nil, fmt.Errorf("provider %s: %w", c.Name, err)
		}
		providers = append(providers, p)
	}
	return providers, nil
}

func (s *stack) addGateway(ctx context.Context, c *config.Config, log *slog.Logger) (err error) {
	if s.inside, err = s.server.DialGateway(); err != nil {
		return err
	}
	handler, err := gateway.New(ctx, gateway.Config{
		Conn: s.inside, PublicURL: c.PublicURL, FlowCookieKey: server.FlowCookieKey, FlowLifetime: vault.SessionLifetime,
		SignInCookieKey: server.SignInCookieKey, SignInLifetime: vault.SignInLifetime,
		PortalSignIn: len(c.Portal) > 0, Brand: c.Brand,
		ClientAddressKey: server.ClientAddressKey, TrustedProxies: c.TrustedProxies, Logger: log,
	})
	if err != nil {
		return err
	}
	s.http = gateway.NewServer(handler, s.webTLS(), log)
	return nil
}

// run serves until ctx ends or a listener fails. The engine stops last: what it
// has begun at a provider it finishes and stores.
func (s *stack) run(ctx context.Context, grpcListener, httpListener net.Listener) error {
	background, stopEngine := context.WithCancel(context.WithoutCancel(ctx))
	defer stopEngine()
	engine := make(chan error, 1)
	go func() { engine <- s.vault.Run(background) }()
	recording, stopRecording := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRecording()
	recorded := make(chan error, 1)
	go func() { recorded <- s.runAudit(recording) }()

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.server.Run(ctx, grpcListener) })
	group.Go(func() error { return httpserve.Serve(ctx, s.http, httpListener) })
	group.Go(func() error { return s.runCerts(ctx) })
	err := group.Wait()
	stopEngine()
	stopRecording()
	return errors.Join(err, <-engine, <-recorded, s.close())
}

// close releases what the stack holds. It may be called on half a stack.
func (s *stack) close() error {
	var errs []error
	if s.inside != nil {
		errs = append(errs, s.inside.Close())
	}
	if s.audit != nil {
		errs = append(errs, s.audit.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	return errors.Join(errs...)
}

// joinClose closes a stack that will not run, because of err.
func joinClose(err error, s *stack) error { return errors.Join(err, s.close()) }
