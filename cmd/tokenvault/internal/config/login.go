package config

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/login"
)

// login reads who signs people in. Nil: nobody does.
func (r *reader) login(f *fileLogin, c *Config) *login.Config {
	if f == nil {
		if c.Binding == vault.BindingLogin {
			r.fail([]string{"login"}, "is missing: with binding: login, write who signs people in: %s", mappingExample("login"))
		}
		return nil
	}
	if c.Binding != vault.BindingLogin {
		r.warn([]string{"login"}, "nobody is asked to sign in, since binding is %s; write binding: login", c.Binding)
	}
	r.issuerURL([]string{"login", "issuer"}, f.Issuer, "write the OpenID provider that knows your people, such as https://id.example.com")
	if f.ClientID == "" {
		r.fail([]string{"login", "client_id"}, "is missing: register this vault at the issuer, with the redirect URI %s", vault.LoginRedirectURL(c.PublicURL))
	}
	if f.Scopes != nil && !slices.Contains(f.Scopes, "openid") {
		r.fail([]string{"login", "scopes"}, "must have openid among them")
	}
	c.LoginTenant = cmp.Or(f.Tenant, vault.DefaultTenant)
	clientSecret, _ := r.secret([]string{"login", "client_secret"}, f.ClientSecret)
	return &login.Config{
		Issuer: f.Issuer, ClientID: f.ClientID, ClientSecret: clientSecret, RedirectURL: vault.LoginRedirectURL(c.PublicURL),
		SubjectClaim: f.SubjectClaim, Scopes: f.Scopes,
	}
}

// tenants warns of callers for whom nobody can sign in.
func (r *reader) tenants(c *Config) {
	if c.Binding != vault.BindingLogin || c.LoginTenant == "" {
		return
	}
	for i, rule := range c.Access.Rules {
		connects := slices.ContainsFunc(rule.RPCs, func(glob string) bool {
			return access.Matches(glob, "Connect") || access.Matches(glob, "CreatePortalSession")
		})
		if connects && rule.Tenant != c.LoginTenant {
			r.warn([]string{"callers", strconv.Itoa(i), "tenant"}, "the people who sign in are those of tenant %s (login.tenant), so this caller, which is of tenant %s, gets no link to connect anybody with",
				c.LoginTenant, rule.Tenant)
		}
	}
}
