package main

import (
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/tokenvault/tokenvault/cmd/internal/cli"
	"github.com/tokenvault/tokenvault/cmd/internal/harden"
	"github.com/tokenvault/tokenvault/cmd/tokenvault/internal/config"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/server"
)

func newServe() *cobra.Command {
	var path string
	var logging cli.LogFlags
	cmd := &cobra.Command{
		Use:     "serve [--config FILE]",
		GroupID: "run",
		Short:   "Run a vault",
		Long:    serveHelp,
		Args:    noArguments("--config"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := logging.Logger(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			harden.Process(log)
			c, err := config.Load(path, config.System(server.RPCs()))
			if err != nil {
				return err
			}
			return serve(cmd, c, log)
		},
	}
	cmd.Flags().StringVar(&path, "config", "tokenvault.yaml", "the configuration `file`")
	logging.Add(cmd.Flags(), "info")
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
	var providers []string
	for _, p := range s.vault.ListProviders(nil) {
		providers = append(providers, p.Name)
	}
	if c.Binding == vault.BindingLink {
		log.Warn("binding is link: whoever has a link can finish its flow; use it for development")
	}
	log.Info("serving",
		slog.String("grpc", grpcListener.Addr().String()),
		slog.String("http", httpListener.Addr().String()),
		slog.Bool("tls", s.certs != nil),
		slog.String("public_url", c.PublicURL),
		slog.Any("providers", providers))
	err = s.run(ctx, grpcListener, httpListener)
	log.Info("stopped")
	return err
}
