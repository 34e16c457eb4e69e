package sandbox

import (
	"crypto/rand"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"sync"
	"time"

	"github.com/tokenvault/tokenvault/vault/sandbox/marketing"
)

//go:embed templates static
var files embed.FS

// Sandbox is the made-up provider: an http.Handler. It is safe for concurrent
// use.
type Sandbox struct {
	config   Config
	mux      *http.ServeMux
	pages    *template.Template
	faults   faults
	requests requestLog
	scripts  map[string]*Script
	stage    stage
	clients  clients
	signing  signing

	marketing   *marketing.API
	apiKeys     map[string]int
	connections connections

	mu          sync.Mutex
	state       state
	last        Issued
	revocations Revocations
}

// New returns a Sandbox, with what the state file holds.
func New(c Config) (*Sandbox, error) {
	if c.Accounts == nil {
		c.Accounts = DefaultAccounts()
	}
	if c.TokenLifetime == 0 {
		c.TokenLifetime = time.Hour
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.TokenLifetime < time.Second || c.ReuseGrace < 0 {
		return nil, errors.New("sandbox: access tokens live a second at least, and the grace for reuse is not negative")
	}
	if err := checkQuirks(c.Quirks); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = mailchimpConnections
	}
	keys, err := c.apiKeys()
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	pages, err := template.ParseFS(files, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	s := &Sandbox{config: c, mux: http.NewServeMux(), pages: pages, faults: newFaults(), requests: newRequestLog(), clients: newClients(), state: newState()}
	s.marketing, s.apiKeys = marketing.New(marketing.Config{Now: c.Now, SendDuration: c.SendDuration}), keys
	s.connections.now = map[int]int{}
	if s.signing, err = newSigning(); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	if err := s.load(); err != nil {
		return nil, err
	}
	if err := s.routes(); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	return s, nil
}

func (s *Sandbox) routes() error {
	s.mux.Handle("GET /static/", http.FileServerFS(files))
	s.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { s.page(w, http.StatusOK, "index.html", s.titles()) })
	if s.config.Scripts != nil {
		return s.play(s.config.Scripts)
	}
	handle := func(pattern string, e Endpoint, d dialect, h played) {
		s.mux.Handle(pattern, s.faulty(e, func(w http.ResponseWriter, r *http.Request) { h(w, r, d) }))
	}
	for _, d := range []dialect{mailchimp(), standard()} {
		handle("GET "+d.prefix+"/authorize", Authorize, d, s.authorize)
		handle("POST "+d.prefix+"/authorize", Authorize, d, s.decide)
		handle("POST "+d.prefix+"/token", Token, d, s.token)
	}
	handle("GET /mailchimp/oauth2/metadata", Metadata, mailchimp(), s.metadata)
	s.mux.Handle("/mailchimp/{dc}/3.0/", s.marketingAPI())
	s.mux.Handle("/mailchimp/{dc}/3.0", s.marketingAPI())
	id := standard()
	handle("POST /oauth/revoke", Revoke, id, s.revoke)
	handle("GET /oauth/userinfo", UserInfo, id, s.userinfo)
	handle("POST /oauth/device", Device, id, s.authorizeDevice)
	handle("GET /oauth/device/verify", Authorize, id, s.askForCode)
	handle("POST /oauth/device/verify", Authorize, id, s.enterCode)
	handle("GET /oauth/keys", Discovery, id, s.keys)
	handle("GET /oauth/.well-known/openid-configuration", Discovery, id, s.discovery)
	handle("GET /.well-known/oauth-authorization-server/oauth", Discovery, id, s.discovery)
	return nil
}

// played is a handler of an endpoint that several providers have.
type played func(http.ResponseWriter, *http.Request, dialect)

// ServeHTTP implements http.Handler.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := s.stage.find(r); h != nil {
		h.ServeHTTP(w, r)
		return
	}
	s.mux.ServeHTTP(w, r)
}

func (s *Sandbox) account(id int) (Account, bool) {
	for _, a := range s.config.Accounts {
		if a.ID == id {
			return a, true
		}
	}
	return Account{}, false
}

func (s *Sandbox) page(w http.ResponseWriter, status int, name string, data any) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	// form-action is left open: browsers apply it to the redirect after the
	// form too, which leads to the app.
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'")
	w.WriteHeader(status)
	_ = s.pages.ExecuteTemplate(w, name, data)
}

func newID() string {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}
