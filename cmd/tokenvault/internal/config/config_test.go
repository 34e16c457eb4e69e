package config_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/tokenvault/tokenvault/cmd/tokenvault/internal/config"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/keyring"
)

// source has one secret in the environment and a master key in a file.
func source() config.Source {
	key := keyring.GenerateMasterKey().Reveal()
	return config.Source{
		LookupEnv: func(name string) (string, bool) {
			return map[string]string{"SECRET": "canary"}[name], name == "SECRET" || name == "EMPTY"
		},
		ReadFile: func(path string) ([]byte, error) {
			switch path {
			case "/etc/vault/master.key":
				return []byte(key + "\n"), nil
			case "/etc/vault/client.pem":
				return clientKey(), nil
			case "/etc/vault/forbidden.key":
				return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
			case "/etc/vault/folder":
				return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("is a directory")}
			case "/etc/vault/empty.key":
				return []byte("\n"), nil
			case "/etc/vault/other.key":
				return []byte("canary"), nil
			}
			return nil, fs.ErrNotExist
		},
		RPCs: []string{"Connect", "GetCredentials"},
	}
}

// clientKey returns a private key in PEM.
func clientKey() []byte {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

const good = `listen: {grpc: "127.0.0.1:9090", http: "[::1]:8080"}
public_url: https://connect.example.com/
storage:
  bolt:
    path: vault.db
master_key: file:master.key
binding: link
return_urls: ["https://app.example.com/connected", "https://app.example.com/done/*"]
providers:
  mailchimp:
    client_id: "1"
    client_secret: env:SECRET
callers:
  - name: mcp
    token_sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    rpcs: [Get*]
    providers: [mailchimp]
    subjects: ["*"]
`

func TestAGoodConfigurationIsRead(t *testing.T) {
	c, err := config.Parse("/etc/vault/tokenvault.yaml", []byte(good), source())
	if err != nil {
		t.Fatal(err)
	}
	if c.PublicURL != "https://connect.example.com" || c.BoltPath != "/etc/vault/vault.db" || len(c.Providers) != 1 || len(c.Access.Rules) != 1 {
		t.Errorf("config = %+v", c)
	}
	p := c.Providers[0]
	if p.RedirectURL != "https://connect.example.com/oauth/mailchimp/callback" || p.ClientSecret.Reveal() != "canary" || p.Definition.APIBaseURL == "" {
		t.Errorf("provider = %+v", p)
	}
	if c.Access.Rules[0].Tenant != "default" {
		t.Errorf("tenant = %q, want default", c.Access.Rules[0].Tenant)
	}
}

func TestFlowsAreConfirmedWhereNothingElseIsWritten(t *testing.T) {
	c, err := config.Parse("/etc/vault/tokenvault.yaml", []byte(strings.Replace(good, "binding: link\n", "", 1)), source())
	if err != nil {
		t.Fatal(err)
	}
	if c.Binding != vault.BindingConfirm {
		t.Errorf("binding = %q, want confirm", c.Binding)
	}
}

func TestPeopleSignInWhereTheConfigurationSays(t *testing.T) {
	const signIn = "login: {issuer: http://127.0.0.1:5556/dex, client_id: x, client_secret: env:SECRET, subject_claim: email, scopes: [openid, email]}"
	c, err := config.Parse("/etc/vault/tokenvault.yaml", []byte(strings.Replace(good, "binding: link", "binding: login\nconsent_page: true\n"+signIn, 1)), source())
	if err != nil {
		t.Fatal(err)
	}
	if l := c.Login; c.Binding != vault.BindingLogin || !c.ConsentPage || l.Issuer != "http://127.0.0.1:5556/dex" || l.ClientSecret.Reveal() != "canary" ||
		l.RedirectURL != "https://connect.example.com/login/callback" || l.SubjectClaim != "email" || len(l.Scopes) != 2 {
		t.Errorf("binding %s, consent page %v, login %+v", c.Binding, c.ConsentPage, l)
	}
	if c, err = config.Parse("/etc/vault/tokenvault.yaml", []byte(good+signIn+"\n"), source()); err != nil || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], ":19: login: nobody is asked to sign in") {
		t.Errorf("a login that is not used: %v; want one warning, with its line", err)
	}
}

func TestPeopleWhoSignInBelongToATenant(t *testing.T) {
	const signIn = "binding: login\nlogin: {issuer: https://id.example.com, client_id: x, client_secret: env:SECRET}"
	for _, row := range []struct {
		name, login, caller string
		tenant, warning     string
	}{
		{"the one that is there anyhow", signIn, "rpcs: [Connect]", "default", ""},
		{"one that the operator names", strings.Replace(signIn, "{", "{tenant: acme, ", 1), "tenant: acme\n    rpcs: [Connect]", "acme", ""},
		{"a caller of another", signIn, "tenant: acme\n    rpcs: [Connect]", "default", ":17: callers.0.tenant: the people who sign in are those of tenant default"},
		{"a caller of another that only reads", signIn, "tenant: acme\n    rpcs: [GetCredentials]", "default", ""},
		{"a caller without a tenant", strings.Replace(signIn, "{", "{tenant: acme, ", 1), "rpcs: [\"*\"]", "acme", "callers.0.tenant: the people who sign in are those of tenant acme"},
	} {
		t.Run(row.name, func(t *testing.T) {
			text := strings.NewReplacer("binding: link", row.login, "rpcs: [Get*]", row.caller).Replace(good)
			c, err := config.Parse("/etc/vault/tokenvault.yaml", []byte(text), source())
			if err != nil {
				t.Fatal(err)
			}
			if warnings := strings.Join(c.Warnings, "\n"); c.LoginTenant != row.tenant || (warnings == "") != (row.warning == "") || !strings.Contains(warnings, row.warning) {
				t.Errorf("tenant %q, warnings %q; want %q and %q", c.LoginTenant, warnings, row.tenant, row.warning)
			}
		})
	}
}

func TestUsersBelongToATenant(t *testing.T) {
	for _, row := range []struct {
		name, tokens, caller string
		tenant, problem      string
	}{
		{"the one that is there anyhow", "", "", "default", ""},
		{"one that the operator names", ", tenant: acme", "    tenant: acme\n", "acme", ""},
		{"a caller of another, bound to users", "", "    tenant: acme\n", "", ":20: callers.0.require_subject_token: cannot be met: the users are those of tenant default"},
		{"a caller without a tenant, bound to users", ", tenant: acme", "", "", ":19: callers.0.require_subject_token: cannot be met: the users are those of tenant acme"},
	} {
		t.Run(row.name, func(t *testing.T) {
			text := strings.NewReplacer("binding: link", "binding: link\nsubject_tokens: {issuer: https://id.example, audience: app"+row.tokens+"}",
				"    subjects: [", row.caller+"    require_subject_token: true\n    subjects: [").Replace(good)
			c, err := config.Parse("/etc/vault/tokenvault.yaml", []byte(text), source())
			if row.problem != "" {
				if err == nil || !strings.Contains(err.Error(), row.problem) {
					t.Errorf("error = %v\nwant one with %q", err, row.problem)
				}
				return
			}
			if err != nil || c.Access.SubjectTokens.Tenant != row.tenant {
				t.Errorf("subject tokens = %+v, %v; want tenant %q", c, err, row.tenant)
			}
		})
	}
}

func TestAGrantThatGoesAroundTheBindingIsWarnedOf(t *testing.T) {
	for _, row := range []struct {
		name, binding, grants string
		want                  string // empty: no warning
	}{
		{"device codes with confirm", "confirm", "[authorization_code, device_code]", ":11: providers.mailchimp.grants: binding: confirm does not hold for device_code"},
		{"device codes with link", "link", "[authorization_code, device_code]", ""},
		{"links with confirm", "confirm", "[authorization_code]", ""},
		{"a client of its own with confirm", "confirm", "[authorization_code, client_credentials]", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			text := strings.NewReplacer("binding: link", "binding: "+row.binding, "    client_id:", "    grants: "+row.grants+"\n    device_url: https://id.example.com/device\n    client_id:").Replace(good)
			c, err := config.Parse("/etc/vault/tokenvault.yaml", []byte(text), source())
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(c.Warnings, "\n"); (got == "") != (row.want == "") || !strings.Contains(got, row.want) {
				t.Errorf("warnings = %q, want %q", got, row.want)
			}
		})
	}
}

func TestAProviderOfAPIKeysNeedsNoClient(t *testing.T) {
	text := strings.Replace(good, "  mailchimp:\n", "  acme:\n    api_key: {pattern: \"^sk-[a-z]+$\"}\n    api_base_url: https://api.acme.example\n  mailchimp:\n", 1)
	c, err := config.Parse("/etc/vault/tokenvault.yaml", []byte(text), source())
	if err != nil {
		t.Fatal(err)
	}
	if acme := c.Providers[0]; acme.Name != "acme" || acme.ClientID != "" || acme.Definition.APIKey.Pattern != "^sk-[a-z]+$" {
		t.Errorf("provider = %+v", acme)
	}
}

func TestProxiesAreAddressesAndRanges(t *testing.T) {
	text := strings.Replace(good, "binding: link\n", "binding: link\ntrusted_proxies: [10.0.0.0/8, 192.0.2.7, \"fd00::/8\", \"::1\"]\n", 1)
	c, err := config.Parse("/etc/vault/tokenvault.yaml", []byte(text), source())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(c.TrustedProxies), "[10.0.0.0/8 192.0.2.7/32 fd00::/8 ::1/128]"; got != want {
		t.Errorf("proxies = %s, want %s", got, want)
	}
}

func TestAnIssuerAloneIsAProvider(t *testing.T) {
	text := strings.Replace(good, "  mailchimp:\n", "  acme:\n    issuer: https://id.acme.example\n    client_id: vault\n    client_secret: env:SECRET\n  mailchimp:\n", 1)
	c, err := config.Parse("/etc/vault/tokenvault.yaml", []byte(text), source())
	if err != nil {
		t.Fatal(err)
	}
	if acme := c.Providers[0]; acme.Definition.Issuer != "https://id.acme.example" || acme.Definition.ClientAuth != "" || acme.ClientSecret.IsZero() {
		t.Errorf("provider = %+v", acme)
	}
}

func TestAClientAuthenticatesWithAKey(t *testing.T) {
	text := strings.Replace(good, "    client_secret: env:SECRET\n", "    client_auth: private_key_jwt\n    client_key: file:client.pem\n    client_key_id: key-1\n", 1)
	c, err := config.Parse("/etc/vault/tokenvault.yaml", []byte(text), source())
	if err != nil {
		t.Fatal(err)
	}
	if p := c.Providers[0]; p.ClientKey.IsZero() || p.ClientKeyID != "key-1" || !p.ClientSecret.IsZero() {
		t.Errorf("provider = %+v", p)
	}
}

func TestWhatCannotWorkIsNamedWithItsLine(t *testing.T) {
	for _, row := range []struct {
		name, old, new string
		want           string
	}{
		{"off loopback", `"127.0.0.1:9090"`, `"0.0.0.0:9090"`, ":1: listen.grpc: 0.0.0.0:9090 is not a loopback address, and has no TLS: write tls:"},
		{"no port", `"127.0.0.1:9090"`, `"127.0.0.1"`, ":1: listen.grpc: is not an address"},
		{"public_url with a path", "example.com/\n", "example.com/vault\n", ":2: public_url: write where browsers reach this vault"},
		{"public_url without TLS", "https://connect", "http://connect", ":2: public_url: must begin with https://"},
		{"inline master key", "file:master.key", "c2VjcmV0", ":6: master_key: write a reference"},
		{"missing master key file", "file:master.key", "file:nowhere.key", ":6: master_key: the file /etc/vault/nowhere.key does not exist"},
		{"forbidden master key file", "file:master.key", "file:forbidden.key", ":6: master_key: this user may not read the file /etc/vault/forbidden.key"},
		{"master key file that is a folder", "file:master.key", "file:folder", ":6: master_key: the file /etc/vault/folder cannot be read"},
		{"empty master key file", "file:master.key", "file:empty.key", ":6: master_key: the file /etc/vault/empty.key is empty"},
		{"a file that holds something else", "file:master.key", "file:other.key", ":6: master_key: the file /etc/vault/other.key: a master key is 32 random bytes"},
		{"no master key", "master_key: file:master.key\n", "", ":1: master_key: is missing: make one with `tokenvault key generate"},
		{"no client secret", "    client_secret: env:SECRET\n", "", ":10: providers.mailchimp.client_secret: is missing: write a reference"},
		{"a secret that looks like a reference", "env:SECRET", "\"env:canary!\"", ":12: providers.mailchimp.client_secret: write a reference"},
		{"empty variable", "env:SECRET", "env:EMPTY", ":12: providers.mailchimp.client_secret: the environment variable EMPTY is empty"},
		{"provider that is not in the catalogue", "  mailchimp:\n    client_id: \"1\"", "  malchimp:\n    client_id: \"1\"", `:10: providers.malchimp: "malchimp" is not in the catalogue, which has mailchimp; for a provider of your own`},
		{"provider in capitals", "  mailchimp:\n    client_id: \"1\"", "  Mailchimp:\n    client_id: \"1\"", ":10: providers.Mailchimp: a name has 1 to 63 of a-z"},
		{"unknown binding", "binding: link", "binding: open", ":7: binding: write confirm"},
		{"nobody who signs people in", "binding: link", "binding: login", ":1: login: is missing: with binding: login, write who signs people in: {issuer: https://id.example.com"},
		{"an issuer that is no URL", "binding: link", "binding: login\nlogin: {issuer: id.example.com, client_id: x, client_secret: env:SECRET}", ":8: login.issuer: is no issuer's URL"},
		{"a login issuer without TLS", "binding: link", "binding: login\nlogin: {issuer: http://id.example.com, client_id: x, client_secret: env:SECRET}", ":8: login.issuer: is no issuer's URL"},
		{"a login without its client", "binding: link", "binding: login\nlogin: {issuer: https://id.example.com, client_secret: env:SECRET}", ":8: login.client_id: is missing: register this vault at the issuer, with the redirect URI https://connect.example.com/login/callback"},
		{"a login with an inline secret", "binding: link", "binding: login\nlogin: {issuer: https://id.example.com, client_id: x, client_secret: canary}", ":8: login.client_secret: write a reference"},
		{"a login without openid", "binding: link", "binding: login\nlogin: {issuer: https://id.example.com, client_id: x, client_secret: env:SECRET, scopes: [email]}", ":8: login.scopes: must have openid"},
		{"nowhere to confirm", "binding: link\nreturn_urls: [\"https://app.example.com/connected\", \"https://app.example.com/done/*\"]", "binding: confirm", ":1: return_urls: is missing: with binding: confirm"},
		{"star in a host", "https://app.example.com/done/*", "https://app.example.com*", ":8: return_urls.1: the * must come after the host"},
		{"return URL without TLS", "https://app.example.com/connected", "http://app.example.com/connected", ":8: return_urls.0: https"},
		{"a proxy by name", "binding: link\n", "binding: link\ntrusted_proxies: [proxy.example.com]\n", ":8: trusted_proxies.0: write the address of a proxy, such as 10.0.0.7, or a range of them, such as 10.0.0.0/8"},
		{"a proxy with its port", "binding: link\n", "binding: link\ntrusted_proxies:\n  - 10.0.0.7\n  - \"10.0.0.8:80\"\n", ":10: trusted_proxies.1: write the address of a proxy"},
		{"a range that begins elsewhere", "binding: link\n", "binding: link\ntrusted_proxies: [10.1.2.3/8]\n", ":8: trusted_proxies.0: the range begins elsewhere: write 10.0.0.0/8"},
		{"IPv4 in IPv6", "binding: link\n", "binding: link\ntrusted_proxies: [\"::ffff:10.0.0.1\"]\n", ":8: trusted_proxies.0: write it as IPv4: 10.0.0.1"},
		{"everybody is a proxy", "binding: link\n", "binding: link\ntrusted_proxies: [0.0.0.0/0]\n", ":8: trusted_proxies.0: this is everybody"},
		{"a proxy that is no list", "binding: link\n", "binding: link\ntrusted_proxies: 10.0.0.0/8\n", ":8: trusted_proxies: write a list, such as [10.0.0.0/8]"},
		{"unset variable", "env:SECRET", "env:OTHER", ":12: providers.mailchimp.client_secret: the environment variable OTHER is not set"},
		{"no client_id", `    client_id: "1"` + "\n", "", ":10: providers.mailchimp.client_id: is missing"},
		{"unknown template", `    client_id: "1"`, "    template: nope\n    client_id: \"1\"", `:11: providers.mailchimp.template: "nope" is not in the catalogue, which has `},
		{"wrong provider URL", `    client_id: "1"`, "    token_url: http://x.example\n    client_id: \"1\"", ":11: providers.mailchimp.token_url: must begin with https://"},
		{"an issuer without TLS", `    client_id: "1"`, "    issuer: http://id.example\n    client_id: \"1\"", ":11: providers.mailchimp.issuer: must begin with https://"},
		{"a key that is none", `    client_secret: env:SECRET`, "    client_auth: private_key_jwt\n    client_key: env:SECRET", ":13: providers.mailchimp.client_key: what it names is not a private key in PEM"},
		{"a key and a secret", `    client_secret: env:SECRET`, "    client_secret: env:SECRET\n    client_auth: private_key_jwt\n    client_key: file:client.pem", ":12: providers.mailchimp.client_secret: must be left out"},
		{"a key without its method", `    client_secret: env:SECRET`, "    client_secret: env:SECRET\n    client_key: file:client.pem", ":13: providers.mailchimp.client_key: needs client_auth: private_key_jwt"},
		{"an inline key", `    client_secret: env:SECRET`, "    client_auth: private_key_jwt\n    client_key: canary", ":13: providers.mailchimp.client_key: write a reference"},
		{"an issuer without a secret", "  mailchimp:\n", "  acme:\n    issuer: https://id.example\n    client_id: x\n  mailchimp:\n", ":10: providers.acme.client_secret: is missing: write a reference"},
		{"a duration of another kind", `    client_id: "1"`, "    refresh: {lifetime: 1h,\n      grace: 90 seconds}\n    client_id: \"1\"", ":12: providers.mailchimp.refresh.grace: must be a duration"},
		{"a duration without its unit", `    client_id: "1"`, "    refresh:\n      idle_limit: 90\n    client_id: \"1\"", ":12: providers.mailchimp.refresh.idle_limit: must be a duration"},
		{"a variable without a pattern", `    client_id: "1"`, "    variables:\n      shop:\n        default: x\n    client_id: \"1\"", ":12: providers.mailchimp.variables.shop.pattern: is missing"},
		{"a variable that opens the host", `    client_id: "1"`, "    token_url: https://{shop}.example.com/token\n    variables: {shop: \"[a-z]+\"}\n    client_id: \"1\"", ":12: providers.mailchimp.variables.shop.pattern: forms a part of token_url"},
		{"a header that is two", `    client_id: "1"`, "    api_headers:\n      X-A: \"a\\r\\nB: c\"\n    client_id: \"1\"", ":12: providers.mailchimp.api_headers.X-A: must be one line"},
		{"an API key without itself", `    client_id: "1"`, "    api_key: {pattern: \"^(?P<dc>[a-z]+)$\", authorization: Bearer}\n    client_id: \"1\"", ":11: providers.mailchimp.api_key.authorization: must hold {api_key}"},
		{"a client of an API that knows keys alone", "  mailchimp:\n", "  acme:\n    api_key: {}\n", ":12: providers.acme.client_id: must be left out"},
		{"unknown key", "    client_id:", "    client_identity: x\n    client_id:", `:11: providers.mailchimp: there is no key "client_identity" here: did you mean client_id?`},
		{"a key twice", "binding: link\n", "binding: link\nbinding: link\n", ":8: the key \"binding\" is there twice"},
		{"short hash", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "abcd", ":15: callers.0.token_sha256: must be 64 hex digits"},
		{"a token in place of its hash", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "tv_canary", ":15: callers.0.token_sha256: this is the token; write its hash"},
		{"the README's placeholder", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", `"` + strings.Repeat("0", 64) + `"`, ":15: callers.0.token_sha256: this is the README's placeholder"},
		{"a hash twice", "token_sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "token_sha256: [0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef, 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef]", ":15: callers.0.token_sha256.1: another caller has the same token"},
		{"a bad hash among good ones", "token_sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "token_sha256:\n    - 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n    - abcd", ":17: callers.0.token_sha256.1: must be 64 hex digits"},
		{"nothing to show", "    token_sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n", "", ":14: callers.0.token_sha256: is missing: make a token and its hash with `tokenvault token generate`; or write spiffe_id"},
		{"a certificate that nobody verifies", "token_sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "spiffe_id: spiffe://example.org/mcp", ":15: callers.0.spiffe_id: needs tls: {client_ca_file: ...}"},
		{"no SPIFFE ID", "token_sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "spiffe_id: https://example.org/mcp", ":15: callers.0.spiffe_id: is no SPIFFE ID"},
		{"a wildcard as DNS name", "token_sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "dns_name: \"*.example.org\"", ":15: callers.0.dns_name: write one name"},
		{"a JWT without audience", "token_sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "jwt: {issuer: https://id.example, subject: x}", ":15: callers.0.jwt.audience: is missing"},
		{"a JWT without subject", "token_sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "jwt: {issuer: https://id.example, audience: x}", ":15: callers.0.jwt.subject: is missing"},
		{"a JWT without issuer", "token_sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "jwt: {audience: x, subject: y}", ":15: callers.0.jwt.issuer: is missing"},
		{"a JWT of an issuer without TLS", "token_sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "jwt: {issuer: http://id.example, audience: x, subject: y}", ":15: callers.0.jwt.issuer: is no issuer's URL"},
		{"keys without TLS", "binding: link", "issuers: {https://id.example: {jwks_uri: \"http://id.example/keys\"}}\nbinding: link\nsubject_tokens: {issuer: https://id.example, audience: x}", ":7: issuers.https://id.example.jwks_uri: write where the issuer's keys are"},
		{"authorities that are none", "binding: link", "issuers: {https://id.example: {ca_file: other.key}}\nbinding: link\nsubject_tokens: {issuer: https://id.example, audience: x}", ":7: issuers.https://id.example.ca_file: the file /etc/vault/other.key is not in PEM"},
		{"users' tokens for nobody", "binding: link", "binding: link\nsubject_tokens: {issuer: https://id.example}", ":8: subject_tokens.audience: is missing"},
		{"users' tokens needed, but not known", "subjects: [", "require_subject_token: true\n    subjects: [", ":18: callers.0.require_subject_token: needs subject_tokens"},
		{"a subject that cannot be", "subjects: [\"*\"]", "subjects: [\"a\\n*\"]", ":18: callers.0.subjects.0: matches nothing"},
		{"unknown RPC", "[Get*]", "[Set*]", ":16: callers.0.rpcs.0: matches nothing; there are: Connect, GetCredentials"},
		{"unknown provider", "providers: [mailchimp]", "providers: [mailchump]", ":17: callers.0.providers.0: matches nothing"},
		{"a list where a text belongs", "binding: link", "binding: [link]", ":7: binding: write a text, not a list"},
		{"keys where a text belongs", "binding: link", "binding: {mode: link}", ":7: binding: write a text, not keys of its own"},
		{"a list as client_id", `client_id: "1"`, `client_id: ["1"]`, ":11: providers.mailchimp.client_id: write a text, not a list"},
		{"a text where a list belongs", "rpcs: [Get*]", `rpcs: "*"`, `:16: callers.0.rpcs: write a list, such as ["*"]`},
		{"a text where keys belong", "storage:\n  bolt:\n    path: vault.db", "storage: vault.db", ":3: storage: write keys of its own, such as {bolt: {path: vault.db}}"},
		{"one provider as a text", "mailchimp:\n    client_id: \"1\"\n    client_secret: env:SECRET", "mailchimp: env:SECRET", ":10: providers.mailchimp: write keys of its own"},
		{"a caller without its dash", "  - name: mcp", "    name: mcp", ":13: callers: write a list, such as [{name: ..., token_sha256: ...}]"},
		{"a text where true belongs", `    client_id: "1"`, "    allow_private_network: yes\n    client_id: \"1\"", ":11: providers.mailchimp.allow_private_network: write true or false"},
		{"a number that YAML changes", `client_id: "1"`, "client_id: 0123", ":11: providers.mailchimp.client_id: write it in quotes"},
		{"a list of keys", good, "- listen: {}\n", ":1: a configuration has keys, such as listen:"},
		{"no YAML", good, "\t- {", "is not YAML as it should be"},
	} {
		t.Run(row.name, func(t *testing.T) {
			text := strings.Replace(good, row.old, row.new, 1)
			if text == good {
				t.Fatal("the row changes nothing")
			}
			_, err := config.Parse("/etc/vault/tokenvault.yaml", []byte(text), source())
			var problems *config.Error
			if !errors.As(err, &problems) || !strings.Contains(err.Error(), row.want) {
				t.Fatalf("error = %v\nwant one with %q", err, row.want)
			}
			if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "c2VjcmV0") {
				t.Errorf("the error repeats a secret: %v", err)
			}
		})
	}
}

func TestUnknownKeysAreToldWithAllElse(t *testing.T) {
	text := strings.NewReplacer("client_secret:", "client_secrt:", "binding: link", "xyzzy: 1\nbinding: lin", "rpcs:", "subject: [x]\n    rpcs:").Replace(good)
	_, err := config.Parse("/etc/vault/tokenvault.yaml", []byte(text), source())
	if err == nil {
		t.Fatal("it can work")
	}
	for _, want := range []string{
		`there is no key "xyzzy" here; see`,
		`:8: binding: write`,
		`:13: providers.mailchimp: there is no key "client_secrt" here: did you mean client_secret?`,
		`:17: callers.0: there is no key "subject" here: did you mean subjects?`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %s in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "client_secret: is missing") {
		t.Errorf("what was meant is told as missing too:\n%v", err)
	}
}

func TestAnUnknownProviderIsToldOnce(t *testing.T) {
	text := strings.Replace(good, "  mailchimp:\n", "  malchimp:\n", 1)
	_, err := config.Parse("/etc/vault/tokenvault.yaml", []byte(text), source())
	var problems *config.Error
	if !errors.As(err, &problems) {
		t.Fatalf("error = %v", err)
	}
	var about []string
	for _, p := range problems.Problems {
		if strings.HasPrefix(p.Key, "providers.") {
			about = append(about, p.String())
		}
	}
	if len(about) != 1 {
		t.Errorf("%d problems of the provider, want 1: %q", len(about), about)
	}
}

func TestAKeyThatOthersMayReadIsWarnedOf(t *testing.T) {
	for _, row := range []struct {
		mode fs.FileMode
		want int
	}{{0o600, 0}, {0o640, 0}, {0o604, 1}, {0o644, 1}, {0o602, 1}} {
		src := source()
		src.Stat = func(path string) (fs.FileInfo, error) {
			return fs.Stat(fstest.MapFS{"key": {Mode: row.mode}}, "key")
		}
		c, err := config.Parse("/etc/vault/tokenvault.yaml", []byte(good), src)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Warnings) != row.want {
			t.Errorf("mode %o: warnings = %q, want %d", row.mode, c.Warnings, row.want)
		}
	}
}

func TestCallersAreKnownByWhatTheyShow(t *testing.T) {
	text := strings.Replace(good, "    token_sha256: ", "    spiffe_id: spiffe://example.org/mcp\n    dns_name: mcp.example.org\n    jwt: {issuer: https://id.example, audience: tokenvault, subject: mcp}\n    require_subject_token: true\n    token_sha256: ", 1) +
		"subject_tokens: {issuer: https://login.example, audience: app, claim: email}\n" +
		"tls: {cert_file: server.crt, key_file: server.key, client_ca_file: ca.crt}\nissuers:\n  https://id.example: {jwks_uri: https://keys.example/jwks, token_file: token}\n  https://unused.example: {}\n"
	c, err := config.Parse("/etc/vault/tokenvault.yaml", []byte(text), withCertificates(t))
	if err != nil {
		t.Fatal(err)
	}
	rule := c.Access.Rules[0]
	if rule.SPIFFEID != "spiffe://example.org/mcp" || rule.DNSName != "mcp.example.org" || rule.JWT.Subject != "mcp" || len(rule.Tokens) != 1 || !rule.NeedsSubjectToken {
		t.Errorf("rule = %+v", rule)
	}
	if i := c.Access.Issuers; len(i) != 2 || i[0].URL != "https://id.example" || i[0].KeysURL != "https://keys.example/jwks" || i[0].TokenFile != "/etc/vault/token" || i[1].URL != "https://login.example" {
		t.Errorf("issuers = %+v", i)
	}
	if c.Access.SubjectTokens.Claim != "email" {
		t.Errorf("subject tokens = %+v", c.Access.SubjectTokens)
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "issuers.https://unused.example: is used nowhere") {
		t.Errorf("warnings = %q, want one, of the issuer that is not used", c.Warnings)
	}
}

func TestACallersTokenThatPassesForAUsersIsWarnedOf(t *testing.T) {
	text := strings.Replace(good, "    token_sha256: ", "    jwt: {issuer: https://login.example.com, audience: app, subject: mcp}\n    token_sha256: ", 1) + "subject_tokens: {issuer: https://login.example.com, audience: app}\n"
	c, err := config.Parse("/etc/vault/tokenvault.yaml", []byte(text), source())
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], ":15: callers.0.jwt.audience: is that of subject_tokens, too") {
		t.Errorf("warnings = %q", c.Warnings)
	}
}

func TestARuleThatMeansNothingIsWarnedOf(t *testing.T) {
	text := strings.Replace(good, "rpcs: [Get*]", "rpcs: [Connect]\n    require_subject_token: true", 1) + "subject_tokens: {issuer: https://login.example, audience: app}\n"
	c, err := config.Parse("/etc/vault/tokenvault.yaml", []byte(text), source())
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], ":17: callers.0.require_subject_token: means nothing without GetCredentials") {
		t.Errorf("warnings = %q", c.Warnings)
	}
}

func TestACallerThatBeginsWhatNobodyMayEndIsWarnedOf(t *testing.T) {
	const another = `  - name: app
    token_sha256: 1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    tenant: %s
    rpcs: [ConfirmConnection]
    providers: ["*"]
    subjects: ["*"]
`
	src := source()
	src.RPCs = append(src.RPCs, "ConfirmConnection")
	for _, row := range []struct {
		name, binding, rpcs, more string
		warned                    bool
	}{
		{"nobody confirms", "confirm", "[Connect, GetCredentials]", "", true},
		{"it confirms itself", "confirm", "[Connect, Confirm*]", "", false},
		{"another of its tenant confirms", "confirm", "[Connect]", fmt.Sprintf(another, "default"), false},
		{"another of a foreign tenant confirms", "confirm", "[Connect]", fmt.Sprintf(another, "foreign"), true},
		{"it does not connect", "confirm", "[GetCredentials]", "", false},
		{"nobody has to confirm", "link", "[Connect]", "", false},
		{"nobody comes back with a code", "confirm", "[Connect]", "", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			good := good
			if row.name == "nobody comes back with a code" {
				good = strings.Replace(good, "env:SECRET", "env:SECRET\n    grants: [client_credentials]", 1)
			}
			text := strings.NewReplacer("binding: link", "binding: "+row.binding, "rpcs: [Get*]", "rpcs: "+row.rpcs).Replace(good) + row.more
			c, err := config.Parse("/etc/vault/tokenvault.yaml", []byte(text), src)
			if err != nil {
				t.Fatal(err)
			}
			warned := len(c.Warnings) == 1 && strings.Contains(c.Warnings[0], ":16: callers.0.rpcs: Connect leads nowhere without ConfirmConnection")
			if warned != row.warned || !warned && len(c.Warnings) > 0 {
				t.Errorf("warnings = %q; want one about rpcs: %v", c.Warnings, row.warned)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("providers: {a: {after_connect: {capture: {x: {pattern: \"[\"}}}}}"))
	f.Add([]byte("providers: {a: {variables: {b: c, d: {default: e}}, refresh: {grace: 90d}, api_key: {pattern: \"(?P<x>.)\"}}}"))
	f.Add([]byte("callers: [{}]\nproviders: {mailchimp: }"))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("? {}\n: -"))
	src := source()
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Parse("/etc/vault/tokenvault.yaml", data, src)
		if (c == nil) == (err == nil) {
			t.Errorf("config %v with error %v", c, err)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Error("the error repeats a secret")
		}
	})
}
