package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tokenvault/tokenvault/cmd/tokenvault/internal/config"
	"github.com/tokenvault/tokenvault/vault/provider"
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
what is wrong with it. When all is well it prints, for each provider, the template, the grants and
the redirect URI to register there.`,
		Args: noArguments("--config"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.Load(path, config.System(server.RPCs()))
			if err != nil {
				return err
			}
			for _, warning := range c.Warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "Warning:", warning)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s can work. Its providers, with the redirect URIs to register there:\n", path)
			for _, p := range c.Providers {
				fmt.Fprintf(cmd.OutOrStdout(), "  %s: %s\n", p.Name, describeProvider(p, c.Templates[p.Name]))
			}
			if c.Login != nil {
				fmt.Fprintf(cmd.OutOrStdout(), "People sign in at %s, where %s is to be registered.\n", c.Login.Issuer, c.Login.RedirectURL)
			}
			return nil
		},
	}
	check.Flags().StringVar(&path, "config", "tokenvault.yaml", "the configuration `file`")
	cmd.AddCommand(check)
	return cmd
}

// describeProvider says what a provider is made of, and how accounts are
// connected.
func describeProvider(p provider.Config, template string) string {
	text := madeOf(template)
	if p.ClientID != "" && p.Definition.HasOAuth() {
		text += "; grants: " + shortGrants(p.Definition.GrantTypes())
	}
	if p.Definition.APIKey != nil {
		text += "; API keys"
	}
	if p.ClientID != "" && p.Definition.HasOAuth() {
		text += "; " + p.RedirectURL
	}
	return text
}
