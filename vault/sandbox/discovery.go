package sandbox

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// wellKnown returns where an issuer's metadata is (OpenID Connect Discovery 1.0,
// section 4; RFC 8414, section 3).
func wellKnown(issuer string) []string {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil
	}
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	origin := u.Scheme + "://" + u.Host
	return []string{
		origin + path + "/.well-known/openid-configuration",
		origin + "/.well-known/oauth-authorization-server" + path,
	}
}

// discovery tells what the provider is (RFC 8414, section 2).
func (s *Sandbox) discovery(w http.ResponseWriter, r *http.Request, d dialect) {
	m := map[string]any{
		"issuer":                                         d.issuerOf(r),
		"token_endpoint":                                 d.tokenURL(r),
		"response_types_supported":                       []string{"code"},
		"grant_types_supported":                          d.grantTypes(),
		"subject_types_supported":                        []string{"public"},
		"scopes_supported":                               []string{"openid", "offline_access"},
		"authorization_endpoint":                         d.address(r, "/authorize"),
		"revocation_endpoint":                            d.address(r, "/revoke"),
		"device_authorization_endpoint":                  d.deviceURL(r),
		"userinfo_endpoint":                              d.address(r, "/userinfo"),
		"code_challenge_methods_supported":               []string{"S256"},
		"authorization_response_iss_parameter_supported": true,
		"token_endpoint_auth_methods_supported":          s.authMethods(d),
	}
	if d.isOpenID() {
		m["jwks_uri"] = d.address(r, "/keys")
		m["id_token_signing_alg_values_supported"] = []string{"ES256"}
	}
	if c := d.script; c != nil {
		m["authorization_endpoint"], m["revocation_endpoint"] = c.AuthorizeURL, c.RevokeURL
		m["userinfo_endpoint"], m["scopes_supported"] = "", c.BaseScopes
		if !c.PKCE {
			delete(m, "code_challenge_methods_supported")
		}
	}
	for name, value := range m {
		if value == "" {
			delete(m, name) // there is none
		}
	}
	writeJSON(w, http.StatusOK, m)
}

func (d dialect) grantTypes() []string {
	grants := []string{"authorization_code"}
	for _, g := range []struct {
		has  bool
		name string
	}{{d.refreshes, "refresh_token"}, {d.machines, "client_credentials"}, {d.hasDevices(), deviceGrant}} {
		if g.has {
			grants = append(grants, g.name)
		}
	}
	return grants
}

// authMethods returns the ways in which the clients that are registered
// authenticate.
func (s *Sandbox) authMethods(d dialect) []string {
	registered := s.config.Clients
	if d.script != nil && d.script.Clients != nil {
		registered = d.script.Clients
	}
	var methods []string
	for _, c := range registered {
		c, _ := s.client(c.ID, d)
		name := map[Auth]string{AuthBasic: "client_secret_basic", AuthPost: "client_secret_post", AuthPrivateKeyJWT: "private_key_jwt"}[c.Auth]
		if name == "" {
			name = "none"
		}
		if !slices.Contains(methods, name) {
			methods = append(methods, name)
		}
	}
	return methods
}
