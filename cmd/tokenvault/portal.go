package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
)

func newPortal() *cobra.Command {
	var client clientFlags
	req := &tokenvaultv1.CreatePortalSessionRequest{}
	cmd := &cobra.Command{
		Use:     "portal SUBJECT",
		GroupID: "use",
		Short:   "Print a link to the page where a person sees and changes their connections",
		Long: `Prints a link to the portal: the page where a person sees which accounts are connected,
connects, refreshes and disconnects them. The link works once, within 5 minutes, and what
it opens lasts half an hour. Whoever opens it is taken for SUBJECT, so hand it to that
person only; with binding: login they have to sign in as SUBJECT, too.

An application does this by itself (CreatePortalSession): when the person asks for the
portal, it redirects their browser to a link for whom it has signed in.`,
		Example: "  tokenvault portal alice",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("name the subject whose connections they are: %s alice", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Subject = args[0]
			return client.call(cmd.Context(), func(ctx context.Context, c tokenvaultv1.VaultServiceClient) error {
				resp, err := c.CreatePortalSession(ctx, req)
				if reasonOf(err) == "CALLER_FORBIDDEN" {
					return errors.New("this caller may not CreatePortalSession and GetConnection for that subject: widen its rpcs or subjects (CALLER_FORBIDDEN)")
				}
				if err != nil {
					return err
				}
				if client.json {
					return printJSON(cmd.OutOrStdout(), resp)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n\nIt opens the connections of %s once, until %s.\n", resp.GetPortalUrl(), req.GetSubject(), showTime(resp.GetExpireTime().AsTime()))
				return err
			})
		},
	}
	cmd.Flags().StringVar(&req.ReturnUrl, "return-url", "", "where the portal's link back leads, a `URL` that the configuration allows")
	client.add(cmd)
	return cmd
}
