package sandbox

import (
	"net/http"
	"time"
)

// dialect is how a provider is spoken to: one of the two that are built in, or a
// script's.
type dialect struct {
	name      string // for people
	prefix    string // of the paths of those that are built in
	expires   bool   // tokens end
	refreshes bool   // there are refresh tokens
	pkce      bool   // S256 is taken
	issuer    bool   // iss is sent (RFC 9207)
	machines  bool   // clients get tokens for themselves
	script    *Script
	self      string // issuer identifier, as the token request came to it
}

func mailchimp() dialect { return dialect{name: "Mailchimp", prefix: "/mailchimp/oauth2"} }

func standard() dialect {
	return dialect{name: "Sandbox ID", prefix: "/oauth", expires: true, refreshes: true, pkce: true, issuer: true, machines: true}
}

func scripted(c *Script) dialect {
	return dialect{
		name: c.title(), expires: !c.Endless, refreshes: c.refreshes(), pkce: c.PKCE,
		issuer: c.Issuer != "", machines: c.ClientCredentials, script: c,
	}
}

// at is the name of the script, for what it issues.
func (d dialect) at() string {
	if d.script == nil {
		return ""
	}
	return d.script.Name
}

// issuerOf is the issuer identifier, as the request came to it.
func (d dialect) issuerOf(r *http.Request) string {
	if d.script != nil {
		return d.script.Issuer
	}
	return d.address(r, "")
}

// address is where one of the endpoints is that are built in.
func (d dialect) address(r *http.Request, path string) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host + d.prefix + path
}

// tokenURL is what the token endpoint is called by whoever made the request.
func (d dialect) tokenURL(r *http.Request) string {
	if d.script != nil {
		return d.script.TokenURL
	}
	return d.address(r, "/token")
}

// quirks are those that the token endpoint always has.
func (s *Sandbox) quirks(d dialect) []Quirk {
	if d.script == nil {
		return s.config.Quirks
	}
	return append(d.script.Quirks[:len(d.script.Quirks):len(d.script.Quirks)], s.config.Quirks...)
}

// terms are how long tokens live.
type terms struct {
	lifetime   time.Duration
	rotation   Rotation
	reuseGrace time.Duration
	idle       time.Duration
}

// terms returns those of the script of that name, or of the Config.
func (s *Sandbox) terms(at string) terms {
	t := terms{lifetime: s.config.TokenLifetime, rotation: s.config.Rotation, reuseGrace: s.config.ReuseGrace, idle: s.config.RefreshTokenIdle}
	c, ok := s.scripts[at]
	if !ok {
		return t
	}
	if c.TokenLifetime != 0 {
		t.lifetime = c.TokenLifetime
	}
	if c.Rotation != "" {
		t.rotation = c.Rotation
	}
	if c.ReuseGrace != 0 {
		t.reuseGrace = c.ReuseGrace
	}
	if c.RefreshTokenIdle != 0 {
		t.idle = c.RefreshTokenIdle
	}
	return t
}
