package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
)

func newRefresh() *cobra.Command {
	var client clientFlags
	req := &tokenvaultv1.RefreshConnectionRequest{}
	cmd := &cobra.Command{
		Use:     "refresh SUBJECT PROVIDER",
		GroupID: "use",
		Short:   "Get new tokens now, or ask the provider whether the old ones work",
		Long: `Gets new tokens now, whatever life those at hand have left. Where the provider has
issued no refresh token (Mailchimp), it asks whether the access token still works and
brings account and metadata up to date. Nobody needs it to keep a connection alive:
the vault does that.`,
		Example: "  tokenvault refresh alice mailchimp",
		Args:    connectionArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Subject, req.Provider = args[0], args[1]
			name := nameOf(req.Subject, req.Provider, req.Label)
			return client.showConnection(cmd, name, func(ctx context.Context, c tokenvaultv1.VaultServiceClient) (connectionAnswer, error) {
				resp, err := c.RefreshConnection(ctx, req)
				if conn := resp.GetConnection(); err == nil && conn.GetExpireTime() == nil && conn.GetLastRefreshTime() == nil {
					fmt.Fprintf(cmd.ErrOrStderr(), "Note: %s issued no refresh token; it says that the access token still works.\n", conn.GetProvider())
				}
				return resp, err
			})
		},
	}
	cmd.Flags().StringVar(&req.Label, "label", "", "the connection's label (default \"default\")")
	client.add(cmd)
	return cmd
}
