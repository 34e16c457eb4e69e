package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
)

func newConfirm() *cobra.Command {
	var client clientFlags
	req := &tokenvaultv1.ConfirmConnectionRequest{}
	cmd := &cobra.Command{
		Use:     "confirm SUBJECT CONFIRMATION",
		GroupID: "use",
		Short:   "Finish a flow for the person who came back from the provider",
		Long: `Finishes a flow where the vault binds flows by confirmation (binding: confirm). The
person's browser has come back to the flow's return URL with a confirmation in the
address; SUBJECT is who that person is. If the flow was begun for somebody else,
nothing is connected, and its link does not work any more.

An application does this by itself (ConfirmConnection), with whom it has signed in;
connect --wait does it for the browser on this machine.`,
		Example: "  tokenvault confirm alice 8rCTyZlPWwHiBkU3o9sJZ2bQeXcNfm0K5vDgR7tLaYM",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("name a subject and the confirmation that their browser came back with: %s alice CONFIRMATION", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Subject, req.Confirmation = args[0], args[1]
			return client.call(cmd.Context(), func(ctx context.Context, c tokenvaultv1.VaultServiceClient) error {
				resp, err := c.ConfirmConnection(ctx, req)
				if err != nil {
					return err
				}
				if client.json {
					return printJSON(cmd.OutOrStdout(), resp)
				}
				return printConnection(cmd.OutOrStdout(), resp.GetConnection())
			})
		},
	}
	client.add(cmd)
	return cmd
}
