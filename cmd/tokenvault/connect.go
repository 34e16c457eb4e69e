package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
)

func newConnect() *cobra.Command {
	var client clientFlags
	req := &tokenvaultv1.ConnectRequest{}
	cmd := &cobra.Command{
		Use:     "connect SUBJECT PROVIDER",
		GroupID: "use",
		Short:   "Begin a flow and print the link for the person's browser",
		Long: `Begins an OAuth flow and prints the link that the person opens in a browser. The
link works for 10 minutes, for one finished flow. Hand it to that person only.`,
		Example: "  tokenvault connect alice mailchimp",
		Args:    connectionArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Subject, req.Provider = args[0], args[1]
			return client.call(cmd.Context(), func(ctx context.Context, c tokenvaultv1.VaultServiceClient) error {
				resp, err := c.Connect(ctx, req)
				if err != nil {
					return err
				}
				if client.json {
					return printJSON(cmd.OutOrStdout(), resp)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "Open this link in a browser before %s:\n\n  %s\n\nThen see the connection with: tokenvault status %s %s\n",
					resp.GetExpireTime().AsTime().Local().Format(time.TimeOnly), resp.GetConnectUrl(), args[0], args[1])
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&req.Label, "label", "", "tells several connections of a subject at a provider apart (default \"default\")")
	cmd.Flags().StringSliceVar(&req.Scopes, "scope", nil, "a scope to ask for; may be given several times (default: those of the configuration)")
	cmd.Flags().StringVar(&req.ReturnUrl, "return-url", "", "where the browser goes at the end; must be allowed by the configuration")
	cmd.Flags().StringVar(&req.LoginHint, "login-hint", "", "the account the person is expected to use")
	client.add(cmd)
	return cmd
}
