// Package vaulttest gives a test the whole stack in one call: a real bbolt file,
// a real gRPC server and a real gateway on loopback sockets, and a sandbox
// provider beside them. Everything is stopped, and the database checked, when the
// test ends.
package vaulttest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"

	"github.com/tokenvault/tokenvault/gateway"
	"github.com/tokenvault/tokenvault/gateway/brand"
	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/audit"
	"github.com/tokenvault/tokenvault/vault/httpserve"
	"github.com/tokenvault/tokenvault/vault/keyring"
	"github.com/tokenvault/tokenvault/vault/login"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/server"
	"github.com/tokenvault/tokenvault/vault/store"
	"github.com/tokenvault/tokenvault/vault/store/boltstore"
)

// Config changes what New builds. The zero value is a good start.
type Config struct {
	// Rules are callers besides the one that may do everything. Their tokens
	// are made by the test.
	Rules []access.Rule
	// Issuers and SubjectTokens are those of the policy.
	Issuers       []access.Issuer
	SubjectTokens *access.SubjectTokens
	// ReturnURLs are the return URLs that are allowed.
	ReturnURLs []string
	// Binding is how flows are bound. Empty: link.
	Binding vault.Binding
	// Issuer signs people in, for vault.BindingLogin. Nil: nobody does.
	Issuer *Issuer
	// IdentityTenant and Portal are vault.Config's, and Brand the gateway's.
	IdentityTenant string
	Portal         []string
	Brand          brand.Brand
	// ConsentPage is vault.Config's.
	ConsentPage bool
	// TokenLifetime is the life of the standard provider's access tokens. 0:
	// an hour.
	TokenLifetime time.Duration
	// AcmeKeys is how the standard provider takes API keys. Nil: not at all.
	AcmeKeys *provider.APIKey
	// KeyProviders are entries of the catalogue that are used with API keys
	// alone.
	KeyProviders []string
	// Definitions are providers besides mailchimp and acme, at which the vault is
	// the same client, with the same secret.
	Definitions map[string]provider.Definition
	// Accounts are those at the sandbox. Nil: sandbox.DefaultAccounts.
	Accounts []sandbox.Account
	// Audit keeps an audit log, at Stack.AuditPath.
	Audit bool
	// TLS secures both listeners with certificates of Stack.Authority, which also
	// issues those that clients may show at the one for gRPC.
	TLS bool
	// SPIFFEID is in the certificate of the listener for gRPC. Empty: none is.
	SPIFFEID string
	// TrustedProxies are the gateway's.
	TrustedProxies []netip.Prefix
	// BrowserRate and BrowserBurst bound what one address may ask of the gateway's
	// pages, each second and at once. Rate 0: there is no bound, since all browsers of
	// a test have one address.
	BrowserRate  rate.Limit
	BrowserBurst int
}

// Stack is a running vault with a sandbox.
type Stack struct {
	// Vault is the engine, for what a test cannot say over gRPC.
	Vault *vault.Vault
	// Client may do everything, in the default tenant.
	Client tokenvaultv1.VaultServiceClient
	// Conn is the connection behind Client.
	Conn *grpc.ClientConn
	// Token is Client's caller token.
	Token secret.String
	// GRPCAddress, GatewayURL and SandboxURL are where things are.
	GRPCAddress, GatewayURL, SandboxURL string
	// DatabasePath is the bbolt file.
	DatabasePath string
	// AuditPath is the audit log's file, in a folder of its own, and Audit the log.
	// Without one, they are of no use.
	AuditPath string
	Audit     *audit.Log
	// Authority issues the certificates of a stack with TLS. Nil without.
	Authority *Authority
	// Sandbox is the provider behind the providers mailchimp and acme.
	Sandbox *sandbox.Sandbox
	// Clock is what the vault and the sandbox go by.
	Clock *Clock
	// Log holds what the vault has logged, at debug level.
	Log *Log

	t      testing.TB
	config Config
	master keyring.MasterKey
	secret secret.String
	key    secret.String // master, as text
	stop   func()
}

// Clock is a time that a test can move. It runs with the real one otherwise.
type Clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

// Now returns the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// Log is a buffer that many goroutines may write to.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String returns what was written.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// ClientID is the client that the vault is at the sandbox.
const ClientID = "vaulttest"

// New starts a stack for the length of the test.
func New(t testing.TB, c Config) *Stack {
	t.Helper()
	s := &Stack{
		t: t, config: c, Clock: &Clock{}, Log: &Log{},
		Token: access.GenerateToken(), secret: access.GenerateToken(),
		DatabasePath: filepath.Join(t.TempDir(), "vault.db"),
	}
	var err error
	s.key = keyring.GenerateMasterKey()
	if s.master, err = keyring.ParseMasterKey(s.key); err != nil {
		t.Fatal(err)
	}
	gatewayListener := s.listen()
	s.GatewayURL = "http://" + gatewayListener.Addr().String()
	if c.TLS {
		s.Authority = NewAuthority(t)
		s.GatewayURL = "https://" + gatewayListener.Addr().String()
	}
	s.startSandbox()
	s.start(gatewayListener)
	t.Cleanup(func() {
		s.stop()
		CheckDatabase(t, s.DatabasePath)
	})
	return s
}

// Restart stops the vault and starts it again on the same database.
func (s *Stack) Restart() {
	s.t.Helper()
	s.stop()
	s.stop = func() {} // nothing runs, should the start fail
	_, address, _ := strings.Cut(s.GatewayURL, "://")
	lis, err := net.Listen("tcp", address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.start(lis)
}

// Rebind is Restart with flows bound in another way.
func (s *Stack) Rebind(binding vault.Binding, issuer *Issuer) {
	s.t.Helper()
	s.config.Binding, s.config.Issuer = binding, issuer
	s.Restart()
}

func (s *Stack) listen() net.Listener {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	return lis
}

func (s *Stack) startSandbox() {
	sb, err := sandbox.New(sandbox.Config{
		Clients: []sandbox.Client{{
			ID: ClientID, Secret: s.secret.Reveal(), Auth: sandbox.AuthPost,
			RedirectURIs: []string{vault.RedirectURL(s.GatewayURL, "mailchimp"), vault.RedirectURL(s.GatewayURL, "acme")},
		}},
		TokenLifetime: s.config.TokenLifetime,
		Accounts:      s.config.Accounts,
		Now:           s.Clock.Now,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	web := httptest.NewServer(sb)
	s.t.Cleanup(web.Close)
	s.Sandbox, s.SandboxURL = sb, web.URL
}

// start wires and runs everything of the vault's.
func (s *Stack) start(gatewayListener net.Listener) {
	s.t.Helper()
	fatal := func(err error) {
		if err != nil {
			s.t.Helper()
			s.t.Fatal(err)
		}
	}
	log := slog.New(slog.NewTextHandler(s.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	db, err := boltstore.OpenOrCreate(s.DatabasePath, vault.WatchedKinds()...)
	fatal(err)
	s.stop = func() { s.check(errors.Join(gatewayListener.Close(), db.Close())) } // all there is, should what follows fail
	keys, err := vault.OpenKeyring(s.t.Context(), db, s.master)
	fatal(err)
	s.Vault, err = vault.New(s.t.Context(), vault.Config{
		Store: db, Keyring: keys, Providers: s.providers(), PublicURL: s.GatewayURL, ReturnURLs: s.config.ReturnURLs,
		Binding: cmp.Or(s.config.Binding, vault.BindingLink), Identity: s.identity(), IdentityTenant: s.config.IdentityTenant,
		ConsentPage: s.config.ConsentPage, Portal: s.config.Portal, Logger: log, Now: s.Clock.Now,
	})
	fatal(err)
	policy, err := access.NewPolicy(access.Config{
		Rules: append([]access.Rule{{
			Name: "everything", Tokens: access.HashTokens(s.Token), Tenant: vault.DefaultTenant,
			RPCs: []string{"*"}, Providers: []string{"*"}, Subjects: []string{"*"},
		}}, s.config.Rules...),
		Issuers: s.config.Issuers, SubjectTokens: s.config.SubjectTokens, Now: s.Clock.Now,
	})
	fatal(err)
	endAudit := s.startAudit(db, keys, log)
	srv := server.New(server.Config{Vault: s.Vault, Policy: policy, Audit: s.Audit, TLS: s.grpcTLS(), Logger: log})
	inside, err := srv.DialGateway()
	fatal(err)
	handler, err := s.newGateway(inside, log)
	fatal(err)

	grpcListener := s.listen()
	s.GRPCAddress = grpcListener.Addr().String()
	s.Conn = s.Dial(s.Token)
	s.Client = tokenvaultv1.NewVaultServiceClient(s.Conn)
	web := gateway.NewServer(handler, s.webTLS(), log)
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	engineCtx, stopEngine := context.WithCancel(ctx)
	var servers, engine sync.WaitGroup
	servers.Go(func() { s.check(srv.Run(ctx, grpcListener)) })
	servers.Go(func() { s.check(httpserve.Serve(ctx, web, gatewayListener)) })
	engine.Go(func() { s.check(s.Vault.Run(engineCtx)) })
	s.stop = func() {
		s.check(web.Close())
		cancel()
		servers.Wait()
		stopEngine()
		engine.Wait()
		endAudit()
		s.check(errors.Join(s.Conn.Close(), inside.Close(), db.Close()))
	}
}

func (s *Stack) newGateway(inside *grpc.ClientConn, log *slog.Logger) (http.Handler, error) {
	c := gateway.Config{
		Conn: inside, PublicURL: s.GatewayURL, FlowCookieKey: server.FlowCookieKey, FlowLifetime: vault.SessionLifetime,
		SignInCookieKey: server.SignInCookieKey, SignInLifetime: vault.SignInLifetime,
		PortalSignIn: len(s.config.Portal) > 0, Brand: s.config.Brand,
		ClientAddressKey: server.ClientAddressKey, TrustedProxies: s.config.TrustedProxies,
		BrowserRate: s.config.BrowserRate, BrowserBurst: s.config.BrowserBurst, Logger: log,
	}
	if c.BrowserRate == 0 {
		c.BrowserRate = rate.Inf
	}
	return gateway.New(s.t.Context(), c)
}

func (s *Stack) identity() vault.IdentityProvider {
	if s.config.Issuer == nil {
		return nil
	}
	return login.New(s.config.Issuer.Login(vault.LoginRedirectURL(s.GatewayURL)))
}

// startAudit opens the audit log, if one is to be kept.
func (s *Stack) startAudit(db store.Store, keys *keyring.Keyring, log *slog.Logger) (end func()) {
	s.t.Helper()
	if !s.config.Audit {
		return func() {}
	}
	if s.AuditPath == "" {
		s.AuditPath = filepath.Join(s.t.TempDir(), "audit.jsonl")
	}
	keeper, key, err := vault.NewAuditKeeper(db, keys)
	if err != nil {
		s.t.Fatal(err)
	}
	opened, err := audit.Open(s.t.Context(), audit.Config{Path: s.AuditPath, Key: key, Keeper: keeper, Logger: log})
	if err != nil {
		s.t.Fatal(err)
	}
	s.Audit = opened
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	var running sync.WaitGroup
	running.Go(func() { s.check(opened.Run(ctx)) })
	return func() {
		cancel()
		running.Wait()
		s.check(opened.Close())
	}
}

func (s *Stack) check(err error) {
	if err != nil {
		s.t.Errorf("vaulttest: %v", err)
	}
}

// providers are mailchimp, from the catalogue, and acme, a standard one; both
// lead to the sandbox.
func (s *Stack) providers() []*provider.Provider {
	s.t.Helper()
	templates, err := provider.Templates()
	if err != nil {
		s.t.Fatal(err)
	}
	definitions := map[string]provider.Definition{
		"mailchimp": templates["mailchimp"].Override(provider.Definition{
			AuthorizeURL: s.SandboxURL + "/mailchimp/oauth2/authorize", TokenURL: s.SandboxURL + "/mailchimp/oauth2/token",
			AfterConnect: &provider.AfterConnect{URL: s.SandboxURL + "/mailchimp/oauth2/metadata"},
			APIBaseURL:   s.SandboxURL + "/mailchimp/{dc}/3.0", AllowPrivateNetwork: true,
		}),
		"acme": {
			DisplayName: "Acme", Issuer: s.SandboxURL + "/oauth",
			AuthorizeURL: s.SandboxURL + "/oauth/authorize", TokenURL: s.SandboxURL + "/oauth/token", RevokeURL: s.SandboxURL + "/oauth/revoke",
			DeviceURL: s.SandboxURL + "/oauth/device", APIKey: s.config.AcmeKeys,
			Grants:     []provider.Grant{provider.GrantAuthorizationCode, provider.GrantDeviceCode, provider.GrantClientCredentials},
			ClientAuth: provider.ClientAuthPost, Scopes: []string{"offline_access"},
			AfterConnect: &provider.AfterConnect{URL: s.SandboxURL + "/oauth/userinfo"},
			Account:      provider.AccountPointers{ID: "/sub", Name: "/name", Email: "/email"}, AllowPrivateNetwork: true,
		},
	}
	maps.Copy(definitions, s.config.Definitions)
	var providers []*provider.Provider
	for _, name := range s.config.KeyProviders {
		p, err := provider.New(provider.Config{Name: name, Definition: templates[name]})
		if err != nil {
			s.t.Fatal(err)
		}
		providers = append(providers, p)
	}
	for name, definition := range definitions {
		p, err := provider.New(provider.Config{
			Name: name, Definition: definition, ClientID: ClientID, ClientSecret: s.secret,
			RedirectURL: vault.RedirectURL(s.GatewayURL, name),
		})
		if err != nil {
			s.t.Fatal(err)
		}
		providers = append(providers, p)
	}
	return providers
}

// Secrets returns what the stack was made with, by name, for tests that look for it
// where it must not be.
func (s *Stack) Secrets() map[string]string {
	return map[string]string{"caller token": s.Token.Reveal(), "client secret": s.secret.Reveal(), "master key": s.key.Reveal()}
}

// NewBrowser returns a client that keeps cookies and follows redirects, as a
// person's browser does.
func (s *Stack) NewBrowser() *http.Client {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &http.Client{Jar: jar, Transport: s.trusting()}
}

// Ada and Grace are two accounts at the sandbox.
const (
	Ada   = 31415926
	Grace = 27182818
)

// Connect takes a subject through a whole flow, as one of the sandbox's accounts,
// and returns the page at the end: its status and text.
func (s *Stack) Connect(subject, providerName string, account int) (status int, body string) {
	s.t.Helper()
	resp, err := s.Client.Connect(s.t.Context(), &tokenvaultv1.ConnectRequest{Subject: subject, Provider: providerName})
	if err != nil {
		s.t.Fatal(err)
	}
	page, err := sandbox.Person{Client: s.NewBrowser()}.Approve(s.t.Context(), resp.GetConnectUrl(), account)
	if err != nil {
		s.t.Fatal(err)
	}
	return page.StatusCode, s.Body(page)
}

// Body reads and closes the body of an answer.
func (s *Stack) Body(resp *http.Response) string {
	s.t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		s.t.Fatal(err)
	}
	return string(body)
}

// CheckDatabase has bbolt check a file that nobody has open.
func CheckDatabase(t testing.TB, path string) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		t.Errorf("vaulttest: open the database afterwards: %v", err)
		return
	}
	err = db.View(func(tx *bolt.Tx) error {
		var errs []error
		for err := range tx.Check() {
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Errorf("vaulttest: check the database: %v", err)
	}
}
