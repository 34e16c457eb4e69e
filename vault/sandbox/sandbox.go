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
	pages, err := template.ParseFS(files, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	s := &Sandbox{config: c, mux: http.NewServeMux(), pages: pages, faults: newFaults(), requests: newRequestLog(), state: newState()}
	if err := s.load(); err != nil {
		return nil, err
	}
	s.routes()
	return s, nil
}

func (s *Sandbox) routes() {
	handle := func(pattern string, e Endpoint, h http.HandlerFunc) { s.mux.Handle(pattern, s.faulty(e, h)) }
	for _, d := range []dialect{mailchimp(), standard()} {
		handle("GET "+d.prefix+"/authorize", Authorize, func(w http.ResponseWriter, r *http.Request) { s.authorize(w, r, d) })
		handle("POST "+d.prefix+"/authorize", Authorize, func(w http.ResponseWriter, r *http.Request) { s.decide(w, r, d) })
		handle("POST "+d.prefix+"/token", Token, func(w http.ResponseWriter, r *http.Request) { s.token(w, r, d) })
	}
	handle("GET /mailchimp/oauth2/metadata", Metadata, s.metadata)
	handle("GET /mailchimp/{dc}/3.0/{path...}", API, s.marketingAPI)
	handle("POST /oauth/revoke", Revoke, s.revoke)
	handle("GET /oauth/userinfo", UserInfo, s.userinfo)
	s.mux.Handle("GET /static/", http.FileServerFS(files))
	s.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { s.page(w, http.StatusOK, "index.html", nil) })
}

// ServeHTTP implements http.Handler.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// dialect is what tells the two providers apart.
type dialect struct {
	name    string
	prefix  string
	expires bool // tokens end, and refresh tokens rotate
	pkce    bool // S256 is taken
	issuer  bool // iss is sent (RFC 9207)
}

func mailchimp() dialect { return dialect{name: "Mailchimp", prefix: "/mailchimp/oauth2"} }

func standard() dialect {
	return dialect{name: "Sandbox ID", prefix: "/oauth", expires: true, pkce: true, issuer: true}
}

func (s *Sandbox) client(id string) (Client, bool) {
	for _, c := range s.config.Clients {
		if c.ID == id {
			return c, true
		}
	}
	return Client{}, false
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
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'")
	w.WriteHeader(status)
	_ = s.pages.ExecuteTemplate(w, name, data)
}

func newID() string {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}
