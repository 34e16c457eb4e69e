package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tokenvault/tokenvault/cmd/tokenvault/internal/config"
	"github.com/tokenvault/tokenvault/vault/server"
)

func newConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "config",
		GroupID: "prepare",
		Short:   "Check a configuration",
		Args:    subcommands,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var path string
	check := &cobra.Command{
		Use:   "check [--config FILE]",
		Short: "Say what is wrong with a configuration, without starting",
		Long: `Reads a configuration as serve would, with the secrets that it refers to, and says
what is wrong with it. When all is well it prints the redirect URI to register at
each provider.`,
		Args: noArguments("--config"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.Load(path, config.System(server.RPCs()))
			if err != nil {
				return err
			}
			for _, warning := range c.Warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "Warning:", warning)
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "%s can work. Redirect URIs to register at the providers:\n", path)
			for _, p := range c.Providers {
				fmt.Fprintf(out, "  %s: %s\n", p.Name, p.RedirectURL)
			}
			return nil
		},
	}
	check.Flags().StringVar(&path, "config", "tokenvault.yaml", "the configuration `file`")
	cmd.AddCommand(check)
	return cmd
}
