package config

import (
	"slices"

	"github.com/tokenvault/tokenvault/vault"
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
	clientSecret, _ := r.secret([]string{"login", "client_secret"}, f.ClientSecret)
	return &login.Config{
		Issuer: f.Issuer, ClientID: f.ClientID, ClientSecret: clientSecret, RedirectURL: vault.LoginRedirectURL(c.PublicURL),
		SubjectClaim: f.SubjectClaim, Scopes: f.Scopes,
	}
}
