package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
)

func newList() *cobra.Command {
	var client clientFlags
	var status string
	req := &tokenvaultv1.ListConnectionsRequest{}
	cmd := &cobra.Command{
		Use:     "list",
		GroupID: "use",
		Short:   "List connections",
		Long:    "Lists all connections that the caller may see, page by page.",
		Example: "  tokenvault list --provider mailchimp",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if status != "" {
				number, ok := tokenvaultv1.ConnectionStatus_value["CONNECTION_STATUS_"+strings.ToUpper(status)]
				if !ok {
					return fmt.Errorf("--status %q: write connected, expiring_soon or reauthorization_required", status)
				}
				req.Status = tokenvaultv1.ConnectionStatus(number)
			}
			return client.call(cmd.Context(), func(ctx context.Context, c tokenvaultv1.VaultServiceClient) error {
				all, err := listAll(ctx, c, req)
				if err != nil {
					return err
				}
				if client.json {
					return printJSON(cmd.OutOrStdout(), &tokenvaultv1.ListConnectionsResponse{Connections: all})
				}
				return printConnections(cmd.OutOrStdout(), all)
			})
		},
	}
	cmd.Flags().StringVar(&req.Subject, "subject", "", "only this subject's")
	cmd.Flags().StringVar(&req.Provider, "provider", "", "only this provider's")
	cmd.Flags().StringVar(&status, "status", "", "only those in this status: connected, expiring_soon or reauthorization_required")
	client.add(cmd)
	return cmd
}

// listAll reads every page.
func listAll(ctx context.Context, c tokenvaultv1.VaultServiceClient, req *tokenvaultv1.ListConnectionsRequest) ([]*tokenvaultv1.Connection, error) {
	var all []*tokenvaultv1.Connection
	for {
		resp, err := c.ListConnections(ctx, req)
		if err != nil {
			return nil, err
		}
		all = append(all, resp.GetConnections()...)
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			return all, nil
		}
	}
}

func printConnections(w io.Writer, all []*tokenvaultv1.Connection) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "There are no connections. Begin one with: tokenvault connect SUBJECT PROVIDER")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SUBJECT\tPROVIDER\tLABEL\tSTATUS\tACCOUNT\tTOKEN ENDS")
	for _, c := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", c.GetSubject(), c.GetProvider(), c.GetLabel(),
			describeStatus(c.GetStatus()), describeAccount(c.GetAccount()), describeTime(c.GetExpireTime(), "never"))
	}
	return t.Flush()
}
