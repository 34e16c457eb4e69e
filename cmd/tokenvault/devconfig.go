package main

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/tokenvault/tokenvault/cmd/tokenvault/internal/config"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/keyring"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// The files of a development folder.
const (
	devConfig       = "tokenvault.yaml"
	devMasterKey    = "master.key"
	devCallerToken  = "caller.token"
	devClientSecret = "client.secret"
	devSandboxState = "sandbox.json"
)

// secrets makes what the folder lacks of them.
func (d development) secrets() (token, clientSecret secret.String, err error) {
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return token, clientSecret, err
	}
	if _, err := keepSecret(filepath.Join(d.dir, devMasterKey), keyring.GenerateMasterKey); err != nil {
		return token, clientSecret, err
	}
	if token, err = keepSecret(filepath.Join(d.dir, devCallerToken), access.GenerateToken); err != nil {
		return token, clientSecret, err
	}
	clientSecret, err = keepSecret(filepath.Join(d.dir, devClientSecret), access.GenerateToken)
	return token, clientSecret, err
}

// configuration is made anew each time, for the addresses may have changed.
func (d development) configuration(token secret.String) ([]byte, error) {
	var text bytes.Buffer
	err := template.Must(template.New("").Parse(devConfigTemplate)).Execute(&text, map[string]any{
		"GRPC": d.grpc, "HTTP": d.http, "Sandbox": d.sandbox, "TokenSHA256": access.HashToken(token).String(), "Grace": d.reuseGrace,
		"Binding": cmp.Or(d.binding, vault.BindingLink), "Login": d.binding == vault.BindingLogin,
	})
	return text.Bytes(), err
}

// keepSecret returns the secret in a file, and makes it where there is none.
func keepSecret(path string, generate func() secret.String) (secret.String, error) {
	data, err := os.ReadFile(path)
	if err == nil {
		return secret.New(strings.TrimSpace(string(data))), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return secret.String{}, err
	}
	made := generate()
	return made, writeNew(path, made.Reveal()+"\n")
}

const devConfigTemplate = `# A working configuration to learn from. ` + "`tokenvault dev`" + ` writes this file anew at every start:
# what you change here is lost. To keep changes, copy it to another name beside this
# one, and run ` + "`tokenvault serve --config`" + ` with that.
listen: {grpc: {{.GRPC}}, http: {{.HTTP}}}
public_url: http://{{.HTTP}}
storage: {bolt: {path: vault.db}}
master_key: file:master.key
binding: {{.Binding}}{{if .Login}}
login:  # the standard provider, where people sign in without a password
  issuer: http://{{.Sandbox}}/oauth
  client_id: tokenvault-dev
  client_secret: file:client.secret
  subject_claim: preferred_username  # made-up people cannot change theirs; at a real issuer, leave this out (sub)
portal: {providers: ["*"]}{{end}}
return_urls: ["http://127.0.0.1/*"]  # any port
providers:
  # The catalogue's Mailchimp, led to the made-up one.
  mailchimp:
    client_id: tokenvault-dev
    client_secret: file:client.secret
    authorize_url: http://{{.Sandbox}}/mailchimp/oauth2/authorize
    token_url: http://{{.Sandbox}}/mailchimp/oauth2/token
    after_connect: {url: "http://{{.Sandbox}}/mailchimp/oauth2/metadata"}
    api_base_url: http://{{.Sandbox}}/mailchimp/{dc}/3.0
    allow_private_network: true
  # A standard provider, whose tokens end and are refreshed.
  acme:
    display_name: Acme
    issuer: http://{{.Sandbox}}/oauth
    authorize_url: http://{{.Sandbox}}/oauth/authorize
    token_url: http://{{.Sandbox}}/oauth/token
    revoke_url: http://{{.Sandbox}}/oauth/revoke
    device_url: http://{{.Sandbox}}/oauth/device
    client_id: tokenvault-dev
    client_secret: file:client.secret
    client_auth: post
    grants: [authorization_code, device_code, client_credentials]
    scopes: [offline_access]{{if .Grace}}
    refresh: {grace: {{.Grace}}}{{end}}
    after_connect: {url: "http://{{.Sandbox}}/oauth/userinfo"}
    account: {id: /sub, name: /name, email: /email}
    allow_private_network: true
audit: {path: audit.jsonl}
callers:
  - name: dev
    token_sha256: {{.TokenSHA256}}
    rpcs: ["*"]
    providers: ["*"]
    subjects: ["*"]
`

// devMCPClient is what people get tokens with for an MCP server.
const devMCPClient = "mcp-client"

// clients are the registrations at the made-up provider: this vault's, and one without a
// secret.
func (d development) clients(c *config.Config, clientSecret secret.String) []sandbox.Client {
	client := sandbox.Client{ID: "tokenvault-dev", Secret: clientSecret.Reveal(), Auth: sandbox.AuthPost}
	for _, p := range c.Providers {
		client.RedirectURIs = append(client.RedirectURIs, p.RedirectURL)
	}
	if c.Login != nil {
		client.RedirectURIs = append(client.RedirectURIs, c.Login.RedirectURL)
	}
	return []sandbox.Client{client, {ID: devMCPClient, Auth: sandbox.AuthNone}}
}
