package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tokenvault/tokenvault/cmd/internal/cli"
	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
)

func newAPIKey() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "api-key",
		GroupID: "use",
		Short:   "Set or delete the API key of a connection",
		Long: `Sets or deletes the API key of a connection. It serves where there is no OAuth
connection, or none that works. The vault keeps it encrypted.`,
		Args: subcommands,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newAPIKeySet(), newAPIKeyDelete())
	return cmd
}

func newAPIKeySet() *cobra.Command {
	var client clientFlags
	var reference string
	var params []string
	req := &tokenvaultv1.SetAPIKeyRequest{}
	cmd := &cobra.Command{
		Use:        "set SUBJECT PROVIDER --key file:PATH",
		SuggestFor: []string{"add", "put"},
		Short:      "Store an API key, in place of the one there was",
		Long: `Stores an API key, in place of the one there was. It serves where there is no OAuth
connection, or none that works.`,
		Example: "  tokenvault api-key set alice mailchimp --key file:alice.key",
		Args:    connectionArgs,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			req.Subject, req.Provider = args[0], args[1]
			if req.Params, err = parseParams(params); err != nil {
				return err
			}
			key, err := cli.ReadSecret("--key", reference, cmd.InOrStdin())
			if err != nil {
				return err
			}
			req.ApiKey = key.Reveal()
			name := nameOf(req.Subject, req.Provider, req.Label)
			return client.callAbout(cmd.Context(), name, func(ctx context.Context, c tokenvaultv1.VaultServiceClient) error {
				resp, err := c.SetAPIKey(ctx, req)
				if err != nil {
					return err
				}
				if client.json {
					return printJSON(cmd.OutOrStdout(), resp)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "The API key of %v is set. %s\n", name, describeKeysRole(resp.GetConnection()))
				return err
			})
		},
	}
	cmd.Flags().StringVar(&reference, "key", "", "where the key is: `file:PATH`, env:NAME or - for standard input")
	cmd.Flags().StringVar(&req.Label, "label", "", "the connection's label (default \"default\")")
	cmd.Flags().StringArrayVar(&params, "param", nil, "a value for a variable of the provider, `NAME=VALUE`; may be given several times")
	client.add(cmd)
	return cmd
}

// describeKeysRole says when a key serves.
func describeKeysRole(c *tokenvaultv1.Connection) string {
	switch c.GetStatus() {
	case tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_CONNECTED, tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_EXPIRING_SOON:
		if c.GetConnectTime() != nil {
			return "It serves when the OAuth connection does not work."
		}
	}
	return "It serves, for there is no OAuth connection that works."
}

func newAPIKeyDelete() *cobra.Command {
	var client clientFlags
	req := &tokenvaultv1.DeleteAPIKeyRequest{}
	cmd := &cobra.Command{
		Use:        "delete SUBJECT PROVIDER",
		SuggestFor: []string{"remove", "unset", "rm"},
		Short:      "Delete the API key of a connection",
		Long:       "Deletes the API key of a connection. An OAuth connection stays as it is.",
		Example:    "  tokenvault api-key delete alice mailchimp",
		Args:       connectionArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Subject, req.Provider = args[0], args[1]
			name := nameOf(req.Subject, req.Provider, req.Label)
			return client.call(cmd.Context(), func(ctx context.Context, c tokenvaultv1.VaultServiceClient) error {
				resp, err := c.DeleteAPIKey(ctx, req)
				if reason := reasonOf(err); reason == "NOT_CONNECTED" {
					return fmt.Errorf("nothing to delete: %v has no API key (%s)", name, reason)
				}
				if err != nil {
					return err
				}
				if client.json {
					return printJSON(cmd.OutOrStdout(), resp)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "The API key of %v is deleted.\n", name)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&req.Label, "label", "", "the connection's label (default \"default\")")
	client.add(cmd)
	return cmd
}
