package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/tokenvault/tokenvault/cmd/internal/cli"
	"github.com/tokenvault/tokenvault/cmd/internal/harden"
	"github.com/tokenvault/tokenvault/cmd/tokenvault/internal/config"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/keyring"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/server"
)

func newDev() *cobra.Command {
	d := development{}
	var logging cli.LogFlags
	var faults []string
	cmd := &cobra.Command{
		Use:     "dev",
		GroupID: "run",
		Short:   "Run a vault with a made-up provider beside it, to try things in a browser",
		Long: `Runs a vault with a made-up Mailchimp and a made-up standard provider beside it. Keys,
configuration and data are made in a folder of their own, and are still there after
a restart. Nothing real is touched.

The made-up Mailchimp has audiences and campaigns to read and to change, which begin
anew with every start. It takes the API key ` + sandbox.DefaultAPIKey() + ` too.

Have the made-up provider misbehave with --fault ENDPOINT:WHAT, such as
  --fault token:status=503,times=3
  --fault metadata:delay=5s
  --fault token:drop-after          the answer is lost after the token was issued
  --fault token:quirk=expires-in-empty
Endpoints: authorize, token, metadata, api, revoke, userinfo, device, discovery.
Quirks of the token endpoint, of which several can be given with commas between
(quirk=A,quirk=B):
` + quirkList() + `

The provider acme has tokens that end and are refreshed. To see that happen, give
them a short life with --token-lifetime.`,
		Args: noArguments(""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := logging.Logger(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if d.faults, err = parseFaults(faults); err != nil {
				return err
			}
			return d.run(cmd.Context(), log, func(secret.String) { d.explain(cmd.OutOrStdout()) })
		},
	}
	cmd.Flags().StringVar(&d.dir, "dir", ".tokenvault", "the `folder` for keys, configuration and data")
	cmd.Flags().StringVar(&d.grpc, "grpc", "127.0.0.1:9090", "the vault's gRPC `address`")
	cmd.Flags().StringVar(&d.http, "http", "127.0.0.1:8080", "the vault's `address` for browsers")
	cmd.Flags().StringVar(&d.sandbox, "sandbox", "127.0.0.1:8090", "the made-up provider's `address`")
	cmd.Flags().StringArrayVar(&faults, "fault", nil, "a `fault` of the made-up provider; may be given several times")
	cmd.Flags().DurationVar(&d.tokenLifetime, "token-lifetime", time.Hour, "how long acme's access tokens live, in whole seconds")
	cmd.Flags().DurationVar(&d.reuseGrace, "reuse-grace", 0, "how long acme's refresh tokens may be used again, as after a lost answer;\nafter it, that revokes the connection at acme (default: not at all)")
	logging.Add(cmd.Flags(), "info")
	return cmd
}

// development is a vault with a sandbox beside it.
type development struct {
	dir                 string
	grpc, http, sandbox string // addresses
	faults              map[sandbox.Endpoint]sandbox.Fault
	tokenLifetime       time.Duration // of acme's access tokens; 0: an hour
	reuseGrace          time.Duration // of acme's refresh tokens
}

// quirkList is the names of all quirks, a few on a line.
func quirkList() string {
	lines := []string{" "}
	for _, quirk := range sandbox.Quirks() {
		if last := len(lines) - 1; len(lines[last])+len(quirk) < 78 {
			lines[last] += " " + string(quirk)
		} else {
			lines = append(lines, "  "+string(quirk))
		}
	}
	return strings.Join(lines, "\n")
}

func parseFaults(texts []string) (map[sandbox.Endpoint]sandbox.Fault, error) {
	faults := map[sandbox.Endpoint]sandbox.Fault{}
	for _, text := range texts {
		endpoint, fault, err := sandbox.ParseFault(text)
		if err != nil {
			return nil, err
		}
		faults[endpoint] = fault
	}
	return faults, nil
}

// The files of a development folder.
const (
	devConfig       = "tokenvault.yaml"
	devMasterKey    = "master.key"
	devCallerToken  = "caller.token"
	devClientSecret = "client.secret"
	devSandboxState = "sandbox.json"
)

// run serves until ctx ends. ready is called once all listeners are open.
func (d development) run(ctx context.Context, log *slog.Logger, ready func(token secret.String)) error {
	harden.Process(log)
	token, clientSecret, err := d.secrets()
	if err != nil {
		return err
	}
	text, err := d.configuration(token)
	if err != nil {
		return err
	}
	path := filepath.Join(d.dir, devConfig)
	c, err := config.Parse(path, text, config.System(server.RPCs()))
	if err != nil {
		return err
	}
	// From here on the database is locked: nobody else runs on this folder.
	s, err := newStack(ctx, c, log)
	if err != nil {
		return err
	}
	sb, err := d.newSandbox(c, clientSecret)
	if err != nil {
		return joinClose(err, s)
	}
	sandboxListener, err := listenAt(ctx, setting{"--sandbox", d.sandbox})
	if err != nil {
		return joinClose(err, s)
	}
	grpcListener, httpListener, err := listen(ctx, setting{"--grpc", c.GRPCAddress}, setting{"--http", c.HTTPAddress})
	if err != nil {
		return joinClose(errors.Join(err, sandboxListener.Close()), s)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return joinClose(errors.Join(err, sandboxListener.Close(), grpcListener.Close(), httpListener.Close()), s)
	}
	ready(token)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.run(ctx, grpcListener, httpListener) })
	group.Go(func() error { return serveSandbox(ctx, sb, log, sandboxListener) })
	return group.Wait()
}

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
	})
	return text.Bytes(), err
}

// newSandbox makes the provider that the configuration leads to.
func (d development) newSandbox(c *config.Config, clientSecret secret.String) (*sandbox.Sandbox, error) {
	return faultySandbox(sandbox.Config{
		Clients: d.clients(c, clientSecret), TokenLifetime: d.tokenLifetime, ReuseGrace: d.reuseGrace,
		StatePath: filepath.Join(d.dir, devSandboxState),
	}, d.faults)
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
binding: link
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

// clients are the registrations of this vault at the made-up provider.
func (d development) clients(c *config.Config, clientSecret secret.String) []sandbox.Client {
	client := sandbox.Client{ID: "tokenvault-dev", Secret: clientSecret.Reveal(), Auth: sandbox.AuthPost}
	for _, p := range c.Providers {
		client.RedirectURIs = append(client.RedirectURIs, p.RedirectURL)
	}
	return []sandbox.Client{client}
}

// explain prints what to open and what to type.
func (d development) explain(w io.Writer) {
	fmt.Fprintf(w, `A vault is running at %[1]s (gRPC) and http://%[2]s (browsers),
and a made-up Mailchimp beside it. Type this in another terminal, in the same folder:

  export TOKENVAULT_ADDR=%[1]s TOKENVAULT_TOKEN=$(cat %[3]s)
  %[4]s alice mailchimp   # prints a link: open it in a browser
  %[5]s alice mailchimp      # what programs get
  %[6]s
  %[8]s alice                     # a link to where alice sees and changes hers
%[9]s
Keys, configuration and data are in %[7]s. Stop with Ctrl-C.

`, d.grpc, d.http, shellWord(filepath.Join(d.dir, devCallerToken)),
		hint("connect", "--wait"), hint("credentials"), hint("list"), d.dir, hint("portal"), d.explainMCP())
}

// explainMCP is how MCP clients get to use the vault. Empty: the program for that is not
// beside this one.
func (d development) explainMCP() string {
	const name = "mailchimp-mcp"
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(self), name)); err != nil {
		return ""
	}
	program := name
	if dir, _ := filepath.Split(os.Args[0]); dir != "" {
		program = dir + name
	}
	return fmt.Sprintf("\nThis prints what to give an MCP client, so that it asks alice's Mailchimp:\n\n  %s config --vault %s --token-file %s --subject alice\n",
		shellWord(program), d.grpc, shellWord(filepath.Join(d.dir, devCallerToken)))
}
