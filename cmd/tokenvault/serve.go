package main

import (
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/tokenvault/tokenvault/cmd/tokenvault/internal/config"
	"github.com/tokenvault/tokenvault/vault/server"
)

func newServe() *cobra.Command {
	var path string
	var logging logFlags
	cmd := &cobra.Command{
		Use:     "serve --config FILE",
		GroupID: "run",
		Short:   "Run a vault",
		Long: `Runs a vault: gRPC for programs, HTTP for browsers.

The configuration is a YAML file. Relative paths in it are relative to its folder;
secrets are references, env:NAME or file:PATH.

  listen: {grpc: 127.0.0.1:9090, http: 127.0.0.1:8080}
  public_url: https://connect.example.com   # where browsers reach listen.http
  storage: {bolt: {path: vault.db}}
  master_key: file:master.key               # tokenvault key generate --out master.key
  binding: link                             # whoever has a link may finish its flow
  return_urls: ["https://app.example.com/connected"]  # exact, or one trailing *
  providers:
    mailchimp:                              # a template of the built-in catalogue
      client_id: "123456"
      client_secret: env:MAILCHIMP_CLIENT_SECRET
    acme:                                   # any other OAuth 2.0 provider
      authorize_url: https://id.acme.example/authorize
      token_url: https://id.acme.example/token
      revoke_url: https://id.acme.example/revoke
      client_id: vault
      client_secret: file:acme.secret
      client_auth: basic                    # basic | post | none
      pkce: S256                            # S256 | none
      scopes: [offline_access]
  callers:
    - name: mailchimp-mcp
      token_sha256: 2bb8...                 # tokenvault token generate
      rpcs: [GetCredentials, Connect]       # names or globs; "*" is everything
      providers: [mailchimp]
      subjects: ["*"]

` + "`tokenvault config check --config FILE`" + ` says what is wrong with a file, without starting.
SIGINT and SIGTERM stop the vault; what it has begun at a provider it finishes.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := logging.logger(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			c, err := config.Load(path, config.System(server.RPCs()))
			if err != nil {
				return err
			}
			return serve(cmd, c, log)
		},
	}
	cmd.Flags().StringVar(&path, "config", "tokenvault.yaml", "the configuration file")
	logging.add(cmd, "info")
	return cmd
}

func serve(cmd *cobra.Command, c *config.Config, log *slog.Logger) error {
	ctx := cmd.Context()
	for _, warning := range c.Warnings {
		log.Warn(warning)
	}
	s, err := newStack(ctx, c, log)
	if err != nil {
		return err
	}
	grpcListener, httpListener, err := listen(ctx, setting{"listen.grpc", c.GRPCAddress}, setting{"listen.http", c.HTTPAddress})
	if err != nil {
		return joinClose(err, s)
	}
	log.Warn("binding is link: whoever has a link can finish its flow; use it for development")
	log.Info("serving",
		slog.String("grpc", grpcListener.Addr().String()),
		slog.String("http", httpListener.Addr().String()),
		slog.String("public_url", c.PublicURL),
		slog.Any("providers", s.vault.ProviderNames()))
	err = s.run(ctx, grpcListener, httpListener)
	log.Info("stopped")
	return err
}
