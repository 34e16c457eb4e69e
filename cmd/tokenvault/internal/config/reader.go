package config

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/keyring"
	"github.com/tokenvault/tokenvault/vault/loopback"
	"github.com/tokenvault/tokenvault/vault/provider"
)

// reader turns a file into a Config and gathers what is wrong with it.
type reader struct {
	name, dir string
	src       Source
	tree      *ast.File
	problems  []Problem
	warnings  []string
	// unknown is how many of the problems are keys that there are not, and meant
	// has what may have been meant by them: paths.
	unknown int
	meant   map[string]bool
}

// fail notes a problem of the value at a path. That what was meant elsewhere is not
// here is no other problem.
func (r *reader) fail(path []string, format string, args ...any) {
	if r.meant[strings.Join(path, ".")] {
		return
	}
	r.problems = append(r.problems, Problem{
		File: r.name,
		Line: lineOf(r.tree, path),
		Key:  strings.Join(path, "."),
		Text: fmt.Sprintf(format, args...),
	})
}

// warn notes what can work but should not be so.
func (r *reader) warn(path []string, format string, args ...any) {
	r.warnings = append(r.warnings, Problem{File: r.name, Line: lineOf(r.tree, path), Key: strings.Join(path, "."), Text: fmt.Sprintf(format, args...)}.String())
}

// Addresses where the file names none.
const (
	defaultGRPC = "127.0.0.1:9090"
	defaultHTTP = "127.0.0.1:8080"
)

func (r *reader) read(f file) *Config {
	c := &Config{
		GRPCAddress: r.address([]string{"listen", "grpc"}, f.Listen.GRPC, defaultGRPC),
		HTTPAddress: r.address([]string{"listen", "http"}, f.Listen.HTTP, defaultHTTP),
		Binding:     r.binding(f.Binding),
		ReturnURLs:  f.ReturnURLs,
		BoltPath:    r.boltPath(f.Storage.Bolt.Path),

		TrustedProxies: r.proxies(f.Proxies),
	}
	c.TLS = r.certificates(f.TLS)
	r.checkExposed([]string{"listen", "grpc"}, c.GRPCAddress, f.TLS)
	r.checkExposed([]string{"listen", "http"}, c.HTTPAddress, f.TLS)
	if f.Audit.Path != "" {
		c.AuditPath = r.path(f.Audit.Path)
	}
	c.PublicURL = r.publicURL(f.PublicURL, c.HTTPAddress, f.TLS)
	c.MasterKey, c.MasterKeySource = r.masterKey(f.MasterKey)
	c.Providers, c.Templates = r.providers(f.Providers, c.PublicURL)
	r.returnURLs(c)
	r.deviceGrants(c)
	c.Login, c.ConsentPage = r.login(f.Login, c), f.ConsentPage
	c.Brand, c.Portal = r.brand(f.Portal), r.portal(f.Portal, c)
	c.Access = r.access(f)
	r.tenants(c)
	r.confirming(c)
	return c
}

func (r *reader) address(path []string, value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	_, port, err := net.SplitHostPort(value)
	if err != nil {
		r.fail(path, "is not an address: write host:port, such as %s", otherwise)
		return value
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		r.fail(path, "the port is not a number from 0 to 65535")
	}
	return value
}

func (r *reader) publicURL(value, httpAddress string, t fileTLS) string {
	if value == "" {
		return r.defaultPublicURL(httpAddress, t)
	}
	path := []string{"public_url"}
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		r.fail(path, "write where browsers reach this vault, without a path: https://connect.example.com")
		return value
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme != "http" || !loopback.IsHost(u.Hostname()):
		r.fail(path, "must begin with https:// (http:// on loopback addresses only)")
	case t.isOn():
		r.fail(path, "must begin with https://, since listen.http has TLS")
	}
	return strings.TrimSuffix(value, "/")
}

// proxies reads prefixes, and addresses that stand for themselves.
func (r *reader) proxies(entries []string) []netip.Prefix {
	var prefixes []netip.Prefix
	for i, entry := range entries {
		path := []string{"trusted_proxies", strconv.Itoa(i)}
		prefix, err := netip.ParsePrefix(entry)
		if addr, addrErr := netip.ParseAddr(entry); addrErr == nil && addr.Zone() == "" {
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		switch {
		case err != nil:
			r.fail(path, "write the address of a proxy, such as 10.0.0.7, or a range of them, such as 10.0.0.0/8 or fd00::/8")
		case prefix.Addr().Is4In6():
			r.fail(path, "write it as IPv4: %s", prefix.Addr().Unmap())
		case prefix != prefix.Masked():
			r.fail(path, "the range begins elsewhere: write %s", prefix.Masked())
		case prefix.Bits() == 0:
			r.fail(path, "this is everybody, who could then write any address into the record: name the proxies alone")
		default:
			prefixes = append(prefixes, prefix)
		}
	}
	return prefixes
}

func (r *reader) boltPath(value string) string {
	if value == "" {
		r.fail([]string{"storage", "bolt", "path"}, "is missing: write where the database is kept, such as /var/lib/tokenvault/vault.db")
		return ""
	}
	return r.path(value)
}

// path makes a relative path relative to the configuration's folder.
func (r *reader) path(value string) string {
	if filepath.IsAbs(value) {
		return value
	}
	return filepath.Join(r.dir, value)
}

func (r *reader) binding(value string) vault.Binding {
	switch binding := vault.Binding(value); binding {
	case "":
		return vault.BindingConfirm
	case vault.BindingConfirm, vault.BindingLogin, vault.BindingLink:
		return binding
	}
	r.fail([]string{"binding"}, "write confirm, which holds where nothing is written, login, or link, for development: whoever has a link may then finish its flow")
	return ""
}

// returnURLs checks the list, which must not be empty where people have to come
// back to the application.
func (r *reader) returnURLs(c *Config) {
	path := []string{"return_urls"}
	for i, entry := range c.ReturnURLs {
		if err := vault.CheckReturnURLPattern(entry); err != nil {
			r.fail(append(path, strconv.Itoa(i)), "%v", err)
		}
	}
	if c.Binding == vault.BindingConfirm && len(c.ReturnURLs) == 0 && slices.ContainsFunc(c.Providers, hasLinks) {
		r.fail(path, "is missing: with binding: confirm, people come back to a page of your application; list it, such as \"https://app.example.com/connected\", or \"http://127.0.0.1/*\" for `tokenvault connect --wait`")
	}
}

// hasLinks reports whether people come back from a provider with a code.
func hasLinks(p provider.Config) bool {
	return p.ClientID != "" && slices.Contains(p.Definition.GrantTypes(), string(provider.GrantAuthorizationCode))
}

// deviceGrants warns of flows that end at the provider alone, so that no binding holds.
func (r *reader) deviceGrants(c *Config) {
	for _, p := range c.Providers {
		if c.Binding != vault.BindingLink && p.ClientID != "" && slices.Contains(p.Definition.GrantTypes(), string(provider.GrantDeviceCode)) {
			r.warn([]string{"providers", p.Name, "grants"}, "binding: %s does not hold for device_code: whoever enters a code at the provider connects their account for the subject that it was made for, "+
				"so that somebody talked into entering another's code gives it away; leave it out unless every caller of Connect is trusted not to", c.Binding)
		}
	}
}

func (r *reader) masterKey(ref string) (key keyring.MasterKey, source string) {
	path := []string{"master_key"}
	found, ok := r.resolve(path, ref, "make one with `tokenvault key generate --out master.key`, and write file:master.key")
	if !ok {
		return keyring.MasterKey{}, ""
	}
	key, err := keyring.ParseMasterKey(found.text)
	if err != nil {
		r.fail(path, "%s: %v", found.describe, err)
	}
	return key, found.describe
}

func (r *reader) providers(all map[string]fileProvider, publicURL string) (configs []provider.Config, made map[string]string) {
	templates, err := provider.Templates()
	if err != nil {
		r.fail(nil, "the built-in catalogue cannot be read: %v", err)
		return nil, nil
	}
	if len(all) == 0 {
		r.fail([]string{"providers"}, "is missing: name at least one provider, such as mailchimp")
	}
	made = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		configs = append(configs, r.provider(name, all[name], templates, publicURL))
		if template := all[name].template(name, templates); template != "" {
			made[name] = template
		}
	}
	return configs, made
}

// template returns the name of the template that a provider is made of. Empty:
// there is none.
func (p fileProvider) template(name string, templates map[string]provider.Definition) string {
	if p.Template != "" {
		name = p.Template
	}
	if _, known := templates[name]; !known {
		return ""
	}
	return name
}

func (r *reader) provider(name string, p fileProvider, templates map[string]provider.Definition, publicURL string) provider.Config {
	path := []string{"providers", name}
	if !provider.ValidName(name) {
		r.fail(path, "a name has 1 to 63 of a-z, 0-9 and '-', not beginning with '-'; display_name may be any text")
		return provider.Config{Name: name}
	}
	template, known := templates[name]
	if p.Template != "" {
		if template, known = templates[p.Template]; !known {
			r.fail(append(path, "template"), "%q is not in the catalogue, which has %s", p.Template, inCatalogue(p.Template, templates))
			return provider.Config{Name: name}
		}
	} else if !known && !p.HasOAuth() && p.APIKey == nil {
		r.fail(path, "%q is not in the catalogue, which has %s; for a provider of your own, write issuer, or authorize_url and token_url", name, inCatalogue(name, templates))
		return provider.Config{Name: name}
	}
	definition := p.Definition
	if known {
		definition = template.Override(p.Definition)
	}
	for _, problem := range definition.Validate() {
		r.fail(append(slices.Clone(path), strings.Split(problem.Path, ".")...), "%s", problem.Problem)
	}
	c := provider.Config{Name: name, Definition: definition, RedirectURL: vault.RedirectURL(publicURL, name)}
	r.client(path, p, &c)
	return c
}

// client reads the vault's id and secret at the provider. A provider that takes
// API keys does without both.
func (r *reader) client(path []string, p fileProvider, c *provider.Config) {
	id, key := append(slices.Clone(path), "client_id"), append(slices.Clone(path), "client_secret")
	switch {
	case c.Definition.APIKey != nil && p.ClientID == "" && p.ClientSecret == "" && p.ClientKey == "":
		return
	case c.Definition.APIKey != nil && !c.Definition.HasOAuth():
		if p.ClientID != "" {
			r.fail(id, "must be left out: the provider takes API keys alone")
		}
		if p.ClientSecret != "" {
			r.fail(key, "must be left out: the provider takes API keys alone")
		}
		return
	case p.ClientID == "":
		r.fail(id, "is missing: write the id that the provider gave your app, in quotes if it is a number")
	}
	c.ClientID = p.ClientID
	r.clientAuth(path, p, c)
}

// clientAuth reads what the client authenticates with: a secret, a key, or
// nothing.
func (r *reader) clientAuth(path []string, p fileProvider, c *provider.Config) {
	key, secret := append(slices.Clone(path), "client_key"), append(slices.Clone(path), "client_secret")
	auth := c.Definition.ClientAuth
	withKey := auth == provider.ClientAuthPrivateKeyJWT || auth == "" && p.ClientKey != ""
	if p.ClientKey != "" && !withKey {
		r.fail(key, "needs client_auth: private_key_jwt")
	}
	if p.ClientSecret != "" && (withKey || auth == provider.ClientAuthNone) {
		r.fail(secret, "must be left out with client_key, and with client_auth: none")
	}
	switch {
	case withKey:
		c.ClientKeyID = p.ClientKeyID
		var ok bool
		if c.ClientKey, ok = r.secret(key, p.ClientKey); ok {
			if err := provider.CheckClientKey(c.ClientKey); err != nil {
				r.fail(key, "what it names %v", err)
			}
		}
	case auth != provider.ClientAuthNone:
		c.ClientSecret, _ = r.secret(secret, p.ClientSecret)
	}
}
