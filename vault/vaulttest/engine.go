package vaulttest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/keyring"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/sandbox/playbook"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/store"
	"github.com/tokenvault/tokenvault/vault/store/boltstore"
)

// EngineConfig changes what NewEngine builds. The zero value is a good start.
type EngineConfig struct {
	// Sandbox changes the sandbox. Nil: nothing.
	Sandbox func(*sandbox.Config)
	// Refresh is what acme's definition says of its refresh tokens.
	Refresh provider.Refresh
	// Definitions are the providers, in place of acme: the sandbox plays each by
	// its definition, at its own URLs. Nil: there is acme.
	Definitions map[string]provider.Definition
	// Known are what the vault knows of the providers, for tests about
	// definitions that are wrong. Nil: the Definitions.
	Known map[string]provider.Definition
	// Binding is how flows are bound. Empty: link.
	Binding vault.Binding
	// Identity signs people in, for vault.BindingLogin. Nil: nobody does.
	Identity vault.IdentityProvider
	// ReturnURLs are the return URLs that are allowed.
	ReturnURLs []string
	// WrapStore stands before the database, to make it fail. Nil: nothing.
	WrapStore func(store.Store) store.Store
	// Log gets what the vault logs. Nil: nothing does.
	Log slog.Handler
	// Quiet leaves the background's work undone until Start.
	Quiet bool
	// Sockets puts the sandbox behind a socket on loopback, for measurements.
	Sockets bool
	// Now is the clock of vault and sandbox. Nil: time.Now.
	Now func() time.Time
}

// Engine is a vault on a real bbolt file without its servers, and the sandbox in
// the same process: nothing in it touches a network, so it runs in a bubble of
// testing/synctest, where a day takes a moment. Its one provider is acme, unless
// the configuration has Definitions.
type Engine struct {
	Vault   *vault.Vault
	Sandbox *sandbox.Sandbox
	// Parts are what the sandbox plays of the Definitions.
	Parts map[string]playbook.Part
	// Store is the database, behind WrapStore's.
	Store store.Store
	// Seat is where the vault lives. Between Stop and Restart another process
	// can open it.
	Seat Seat

	t      testing.TB
	config EngineConfig
	stop   func()
}

// Seat is where a vault lives: all that it takes to open it, in this process or
// another. It is made for tests: it holds secrets in the clear.
type Seat struct {
	DatabasePath, MasterKey, ClientSecret string
	// ClientKey is a private key in PEM, for definitions with private_key_jwt.
	ClientKey string
	// ProviderURL is where the sandbox's standard provider is.
	ProviderURL string
}

// enginePublicURL is where browsers would reach the gateway, if there were one.
const enginePublicURL = "http://127.0.0.1:8080"

// NewEngine starts an engine for the length of the test.
func NewEngine(t testing.TB, c EngineConfig) *Engine {
	t.Helper()
	e := &Engine{t: t, config: c, Seat: Seat{
		DatabasePath: filepath.Join(t.TempDir(), "vault.db"),
		MasterKey:    keyring.GenerateMasterKey().Reveal(),
		ClientSecret: "engine-client-secret",
		ProviderURL:  "http://127.0.0.1:1/oauth", // answered by Sandbox.Transport
	}}
	config := sandbox.Config{Now: c.Now, Clients: []sandbox.Client{{
		ID: ClientID, Secret: e.Seat.ClientSecret, Auth: sandbox.AuthPost,
		RedirectURIs: []string{vault.RedirectURL(enginePublicURL, "acme")},
	}}}
	e.cast(&config)
	if c.Sandbox != nil {
		c.Sandbox(&config)
	}
	var err error
	if e.Sandbox, err = sandbox.New(config); err != nil {
		t.Fatal(err)
	}
	if c.Sockets {
		web := httptest.NewServer(e.Sandbox)
		t.Cleanup(web.Close)
		e.Seat.ProviderURL = web.URL + "/oauth"
	}
	e.open()
	if !c.Quiet {
		e.Start()
	}
	t.Cleanup(e.Stop)
	return e
}

// open opens the database and makes the vault.
func (e *Engine) open() {
	e.t.Helper()
	transport := e.Sandbox.Transport()
	if e.config.Sockets {
		transport = nil
	}
	var err error
	e.Vault, e.Store, err = e.Seat.Open(context.WithoutCancel(e.t.Context()), e.config, transport)
	if err != nil {
		e.t.Fatal(err)
	}
	db := e.Store
	e.stop = func() { e.check(db.Close()) }
}

// Open opens the vault that lives there. transport leads to its provider; nil:
// the network does. The caller closes the store when the vault has stopped.
func (s Seat) Open(ctx context.Context, c EngineConfig, transport http.RoundTripper) (_ *vault.Vault, _ store.Store, err error) {
	master, err := keyring.ParseMasterKey(secret.New(s.MasterKey))
	if err != nil {
		return nil, nil, err
	}
	var db store.Store
	if db, err = boltstore.OpenOrCreate(s.DatabasePath, vault.WatchedKinds()...); err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	keys, err := vault.OpenKeyring(ctx, db, master)
	if err != nil {
		return nil, nil, err
	}
	if c.WrapStore != nil {
		db = c.WrapStore(db)
	}
	v, err := s.newVault(ctx, c, transport, db, keys)
	return v, db, err
}

func (s Seat) newVault(ctx context.Context, c EngineConfig, transport http.RoundTripper, db store.Store, keys *keyring.Keyring) (*vault.Vault, error) {
	providers, err := s.providers(c, transport)
	if err != nil {
		return nil, err
	}
	var log *slog.Logger
	if c.Log != nil {
		log = slog.New(c.Log)
	}
	return vault.New(ctx, vault.Config{
		Store: db, Keyring: keys, Providers: providers, PublicURL: enginePublicURL,
		ReturnURLs: c.ReturnURLs, Binding: cmp.Or(c.Binding, vault.BindingLink), Identity: c.Identity, Logger: log, Now: c.Now,
	})
}

// Another returns another vault on the same database, as another process would be
// where the database takes several. Its background works until stop is called, or
// the test ends. It has to stop before the engine does.
func (e *Engine) Another() (v *vault.Vault, stop func()) {
	e.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(e.t.Context()))
	master, err := keyring.ParseMasterKey(secret.New(e.Seat.MasterKey))
	if err != nil {
		e.t.Fatal(err)
	}
	keys, err := vault.OpenKeyring(ctx, e.Store, master)
	if err != nil {
		e.t.Fatal(err)
	}
	if v, err = e.Seat.newVault(ctx, e.config, e.Sandbox.Transport(), e.Store, keys); err != nil {
		e.t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { e.check(v.Run(ctx)) })
	stop = func() {
		cancel()
		running.Wait()
	}
	e.t.Cleanup(stop)
	return v, stop
}

// Start starts the background's work.
func (e *Engine) Start() {
	ctx, cancel := context.WithCancel(context.WithoutCancel(e.t.Context()))
	var running sync.WaitGroup
	running.Go(func() { e.check(e.Vault.Run(ctx)) })
	closeDatabase := e.stop
	e.stop = func() {
		cancel()
		running.Wait()
		closeDatabase()
	}
}

// Stop stops the vault and closes the database. Stopping twice does no harm.
func (e *Engine) Stop() {
	e.stop()
	e.stop = func() {}
}

// Restart stops the vault, if it has not been, and starts it again on the same
// database.
func (e *Engine) Restart() {
	e.t.Helper()
	e.Stop()
	e.open()
	e.Start()
}

func (e *Engine) check(err error) {
	if err != nil {
		e.t.Errorf("vaulttest: %v", err)
	}
}

// provider is acme.
func (s Seat) provider(refresh provider.Refresh, transport http.RoundTripper) (*provider.Provider, error) {
	return provider.New(provider.Config{
		Name: "acme", ClientID: ClientID, ClientSecret: secret.New(s.ClientSecret), RedirectURL: vault.RedirectURL(enginePublicURL, "acme"),
		Transport: transport,
		Definition: provider.Definition{
			DisplayName: "Acme", Issuer: s.ProviderURL, ClientAuth: provider.ClientAuthPost, Scopes: []string{"offline_access"}, Refresh: refresh,
			Grants:       []provider.Grant{provider.GrantAuthorizationCode, provider.GrantDeviceCode, provider.GrantClientCredentials},
			AuthorizeURL: s.ProviderURL + "/authorize", TokenURL: s.ProviderURL + "/token", RevokeURL: s.ProviderURL + "/revoke", DeviceURL: s.ProviderURL + "/device",
			AfterConnect: &provider.AfterConnect{URL: s.ProviderURL + "/userinfo"}, Account: provider.AccountPointers{ID: "/sub", Name: "/name", Email: "/email"},
			AllowPrivateNetwork: true,
		},
	})
}

func (s Seat) providers(c EngineConfig, transport http.RoundTripper) ([]*provider.Provider, error) {
	if c.Known != nil {
		return s.played(c.Known, transport)
	}
	if c.Definitions != nil {
		return s.played(c.Definitions, transport)
	}
	acme, err := s.provider(c.Refresh, transport)
	return []*provider.Provider{acme}, err
}

// Key names acme's connection of a subject.
func (e *Engine) Key(subject string) vault.Key {
	return vault.Key{Tenant: vault.DefaultTenant, Subject: subject, Provider: "acme"}
}

// Connect takes a subject through a whole flow, as one of the sandbox's accounts.
func (e *Engine) Connect(subject string, account int) error {
	return e.ConnectTo(vault.ConnectRequest{Key: e.Key(subject)}, account)
}

// ConnectTo is Connect for any request that wants a person's consent.
func (e *Engine) ConnectTo(r vault.ConnectRequest, account int) error {
	begun, err := e.Vault.Connect(e.t.Context(), r)
	if err != nil {
		return err
	}
	_, err = e.approve(r.Key.Provider, begun.Session, account)
	return err
}

// Approve opens a session's link, consents as one of the sandbox's accounts, and
// comes back.
func (e *Engine) Approve(session string, account int) error {
	_, err := e.approve("acme", session, account)
	return err
}

// Return is Approve for flows with a return URL, which it returns with what was
// added to it.
func (e *Engine) Return(session string, account int) (string, error) {
	return e.approve("acme", session, account)
}

func (e *Engine) approve(providerName, session string, account int) (string, error) {
	ctx := e.t.Context()
	opened, err := e.Vault.Authorize(ctx, vault.AuthorizeRequest{Provider: providerName, Session: session})
	if err != nil {
		return "", err
	}
	form := url.Values{"decision": {"approve"}, "account": {strconv.Itoa(account)}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, opened.Location, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := e.Sandbox.Transport().RoundTrip(req)
	if err != nil {
		return "", err
	}
	back, err := resp.Location()
	if err != nil {
		page, _ := io.ReadAll(resp.Body) // in memory
		return "", fmt.Errorf("the consent page answered with status %d: %w\n%s", resp.StatusCode, err, page)
	}
	q := back.Query()
	result, err := e.Vault.Callback(ctx, vault.CallbackRequest{
		Provider: providerName, State: q.Get("state"), Code: secret.New(q.Get("code")), Issuer: q.Get("iss"), FlowCookie: opened.FlowCookie,
	})
	return result.Location, err
}

// MustConnect is Connect as Ada for many subjects at once, for tests that go on
// from there.
func (e *Engine) MustConnect(subjects ...string) {
	e.t.Helper()
	places := make(chan struct{}, 64)
	var flows sync.WaitGroup
	for _, subject := range subjects {
		places <- struct{}{}
		flows.Go(func() {
			defer func() { <-places }()
			if err := e.Connect(subject, Ada); err != nil {
				e.t.Errorf("connect %s: %v", subject, err)
			}
		})
	}
	flows.Wait()
	if e.t.Failed() {
		e.t.FailNow()
	}
}

// Credentials asks for a subject's credentials.
func (e *Engine) Credentials(subject string) (vault.Credentials, error) {
	return e.Vault.GetCredentials(e.t.Context(), vault.CredentialsRequest{Key: e.Key(subject)})
}

// Connection returns what the vault tells of a subject's connection.
func (e *Engine) Connection(subject string) vault.Connection {
	e.t.Helper()
	conn, err := e.Vault.GetConnection(e.t.Context(), e.Key(subject))
	if err != nil {
		e.t.Fatalf("GetConnection(%s): %v", subject, err)
	}
	return conn
}
