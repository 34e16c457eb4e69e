package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
)

func newDisconnect() *cobra.Command {
	var client clientFlags
	req := &tokenvaultv1.DisconnectRequest{}
	cmd := &cobra.Command{
		Use:        "disconnect SUBJECT PROVIDER",
		GroupID:    "use",
		SuggestFor: []string{"remove", "delete", "revoke"},
		Short:      "Delete a connection, and revoke it at the provider where that can be done",
		Long:       "Deletes a connection here, always, and revokes it at the provider where that can be\ndone. It says what happened and what the person can still do.",
		Example:    "  tokenvault disconnect alice mailchimp",
		Args:       connectionArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Subject, req.Provider = args[0], args[1]
			name := nameOf(req.Subject, req.Provider, req.Label)
			return client.callAbout(cmd.Context(), name, func(ctx context.Context, c tokenvaultv1.VaultServiceClient) error {
				resp, err := c.Disconnect(ctx, req)
				if reason := reasonOf(err); reason == "NOT_CONNECTED" {
					return fmt.Errorf("nothing to disconnect: %v is not connected (%s)", name, reason)
				}
				if err != nil {
					return err
				}
				if client.json {
					return printJSON(cmd.OutOrStdout(), resp)
				}
				fmt.Fprintln(cmd.OutOrStdout(), describeRevocation(resp))
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&req.Label, "label", "", "the connection's label (default \"default\")")
	client.add(cmd)
	return cmd
}

func describeRevocation(resp *tokenvaultv1.DisconnectResponse) string {
	text := "The connection is deleted here."
	switch resp.GetRevocation() {
	case tokenvaultv1.Revocation_REVOCATION_REVOKED:
		text += " The provider has confirmed that its tokens no longer work."
	case tokenvaultv1.Revocation_REVOCATION_NOT_SUPPORTED:
		text += " The provider offers no way to revoke its tokens from here."
	case tokenvaultv1.Revocation_REVOCATION_FAILED:
		text += " The provider did not confirm that its tokens are revoked."
	}
	if resp.GetNextStep() != "" {
		text += " " + resp.GetNextStep()
	}
	return text
}
