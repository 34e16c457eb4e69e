package vaulttest

import (
	"context"
	"fmt"
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
// testing/synctest, where a day takes a moment. Its one provider is acme.
type Engine struct {
	Vault   *vault.Vault
	Sandbox *sandbox.Sandbox
	// Store is the database, behind WrapStore's.
	Store store.Store

	t      testing.TB
	config EngineConfig
	path   string
	master keyring.MasterKey
	secret secret.String
	base   string // of the sandbox's standard provider
	stop   func()
}

// enginePublicURL is where browsers would reach the gateway, if there were one.
const enginePublicURL = "http://127.0.0.1:8080"

// NewEngine starts an engine for the length of the test.
func NewEngine(t testing.TB, c EngineConfig) *Engine {
	t.Helper()
	e := &Engine{t: t, config: c, path: filepath.Join(t.TempDir(), "vault.db"), secret: secret.New("engine-client-secret")}
	var err error
	if e.master, err = keyring.ParseMasterKey(keyring.GenerateMasterKey()); err != nil {
		t.Fatal(err)
	}
	config := sandbox.Config{Now: c.Now, Clients: []sandbox.Client{{
		ID: clientID, Secret: e.secret.Reveal(), Auth: sandbox.AuthPost,
		RedirectURIs: []string{vault.RedirectURL(enginePublicURL, "acme")},
	}}}
	if c.Sandbox != nil {
		c.Sandbox(&config)
	}
	if e.Sandbox, err = sandbox.New(config); err != nil {
		t.Fatal(err)
	}
	e.base = "http://127.0.0.1:1" // answered by Sandbox.Transport
	if c.Sockets {
		web := httptest.NewServer(e.Sandbox)
		t.Cleanup(web.Close)
		e.base = web.URL
	}
	e.open()
	if !c.Quiet {
		e.Start()
	}
	t.Cleanup(func() { e.stop() })
	return e
}

// open opens the database and makes the vault.
func (e *Engine) open() {
	e.t.Helper()
	db, err := boltstore.OpenOrCreate(e.path)
	if err != nil {
		e.t.Fatal(err)
	}
	e.stop = func() { e.check(db.Close()) }
	e.Store = db
	keys, err := vault.OpenKeyring(context.WithoutCancel(e.t.Context()), db, e.master)
	if err != nil {
		e.t.Fatal(err)
	}
	if e.config.WrapStore != nil {
		e.Store = e.config.WrapStore(db)
	}
	var log *slog.Logger
	if e.config.Log != nil {
		log = slog.New(e.config.Log)
	}
	e.Vault, err = vault.New(vault.Config{
		Store: e.Store, Keyring: keys, Providers: []*provider.Provider{e.provider()}, PublicURL: enginePublicURL,
		Binding: vault.BindingLink, Logger: log, Now: e.config.Now,
	})
	if err != nil {
		e.t.Fatal(err)
	}
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

// Restart stops the vault and starts it again on the same database.
func (e *Engine) Restart() {
	e.t.Helper()
	e.stop()
	e.open()
	e.Start()
}

func (e *Engine) check(err error) {
	if err != nil {
		e.t.Errorf("vaulttest: %v", err)
	}
}

func (e *Engine) provider() *provider.Provider {
	e.t.Helper()
	base, transport := e.base+"/oauth", e.Sandbox.Transport()
	if e.config.Sockets {
		transport = nil
	}
	p, err := provider.New(provider.Config{
		Name: "acme", ClientID: clientID, ClientSecret: e.secret, RedirectURL: vault.RedirectURL(enginePublicURL, "acme"),
		Transport: transport,
		Definition: provider.Definition{
			DisplayName: "Acme", Issuer: base, AuthorizeURL: base + "/authorize", TokenURL: base + "/token", RevokeURL: base + "/revoke",
			ClientAuth: provider.ClientAuthPost, Scopes: []string{"offline_access"}, Refresh: e.config.Refresh,
			AfterConnect: &provider.AfterConnect{URL: base + "/userinfo"}, Account: provider.AccountPointers{ID: "/sub", Name: "/name", Email: "/email"},
			AllowPrivateNetwork: true,
		},
	})
	if err != nil {
		e.t.Fatal(err)
	}
	return p
}

// Key names acme's connection of a subject.
func (e *Engine) Key(subject string) vault.Key {
	return vault.Key{Tenant: vault.DefaultTenant, Subject: subject, Provider: "acme"}
}

// Connect takes a subject through a whole flow, as one of the sandbox's accounts.
func (e *Engine) Connect(subject string, account int) error {
	begun, err := e.Vault.Connect(e.t.Context(), vault.ConnectRequest{Key: e.Key(subject)})
	if err != nil {
		return err
	}
	return e.Approve(begun.Session, account)
}

// Approve opens a session's link, consents as one of the sandbox's accounts, and
// comes back.
func (e *Engine) Approve(session string, account int) error {
	ctx := e.t.Context()
	opened, err := e.Vault.Authorize(ctx, "acme", session, secret.String{})
	if err != nil {
		return err
	}
	form := url.Values{"decision": {"approve"}, "account": {strconv.Itoa(account)}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, opened.Location, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := e.Sandbox.Transport().RoundTrip(req)
	if err != nil {
		return err
	}
	back, err := resp.Location()
	if err != nil {
		return fmt.Errorf("the consent page answered with status %d: %w", resp.StatusCode, err)
	}
	q := back.Query()
	_, err = e.Vault.Callback(ctx, vault.CallbackRequest{
		Provider: "acme", State: q.Get("state"), Code: secret.New(q.Get("code")), Issuer: q.Get("iss"), FlowCookie: opened.FlowCookie,
	})
	return err
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
