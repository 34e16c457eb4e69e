package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
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
		Use:        "list",
		GroupID:    "use",
		Short:      "List connections",
		SuggestFor: []string{"ls"},
		Long:       "Lists all connections that the caller may see, page by page.",
		Example:    "  tokenvault list --provider mailchimp",
		Args:       noArguments("--subject"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if req.Status, err = parseStatus(status); err != nil {
				return err
			}
			isNarrowed := req.Subject != "" || req.Provider != "" || status != ""
			return client.call(cmd.Context(), func(ctx context.Context, c tokenvaultv1.VaultServiceClient) error {
				all, err := listAll(ctx, c, req)
				if err != nil {
					return err
				}
				if client.json {
					return printJSON(cmd.OutOrStdout(), &tokenvaultv1.ListConnectionsResponse{Connections: all})
				}
				return printConnections(cmd.OutOrStdout(), all, isNarrowed)
			})
		},
	}
	cmd.Flags().StringVar(&req.Subject, "subject", "", "only this `subject`'s")
	cmd.Flags().StringVar(&req.Provider, "provider", "", "only this `provider`'s")
	cmd.Flags().StringVar(&status, "status", "", "only those in this `status`: "+statuses)
	client.add(cmd)
	return cmd
}

// statuses are what --status takes.
const statuses = "connected, expiring_soon, reauthorization_required or disconnected (an API key alone)"

// parseStatus reads a status as people write it. Empty: any.
func parseStatus(text string) (tokenvaultv1.ConnectionStatus, error) {
	if text == "" {
		return tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_UNSPECIFIED, nil
	}
	number, ok := tokenvaultv1.ConnectionStatus_value["CONNECTION_STATUS_"+strings.ToUpper(text)]
	if !ok || number == 0 {
		return 0, fmt.Errorf("--status %q: write %s", text, statuses)
	}
	return tokenvaultv1.ConnectionStatus(number), nil
}

// listAll reads every page, and sorts by name: the vault's own order follows
// hashes.
func listAll(ctx context.Context, c tokenvaultv1.VaultServiceClient, req *tokenvaultv1.ListConnectionsRequest) ([]*tokenvaultv1.Connection, error) {
	var all []*tokenvaultv1.Connection
	for {
		resp, err := c.ListConnections(ctx, req)
		if err != nil {
			return nil, err
		}
		all = append(all, resp.GetConnections()...)
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			slices.SortFunc(all, func(a, b *tokenvaultv1.Connection) int {
				return cmp.Or(strings.Compare(a.GetSubject(), b.GetSubject()), strings.Compare(a.GetProvider(), b.GetProvider()), strings.Compare(a.GetLabel(), b.GetLabel()))
			})
			return all, nil
		}
	}
}

func printConnections(w io.Writer, all []*tokenvaultv1.Connection, isNarrowed bool) error {
	if len(all) == 0 && isNarrowed {
		_, err := fmt.Fprintln(w, "No connections match.")
		return err
	}
	if len(all) == 0 {
		_, err := fmt.Fprintf(w, "There are no connections that you may see. Begin one with: %s SUBJECT PROVIDER\n", hint("connect"))
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SUBJECT\tPROVIDER\tLABEL\tSTATUS\tACCOUNT\tTOKEN ENDS")
	for _, c := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", c.GetSubject(), c.GetProvider(), c.GetLabel(),
			shortStatus(c), shortAccount(c), shortEnd(c))
	}
	return t.Flush()
}

// In a table, what is not known or does not apply is a dash.

// isKeyAlone reports whether a connection is an API key and nothing else.
func isKeyAlone(c *tokenvaultv1.Connection) bool {
	return c.GetHasApiKey() && c.GetStatus() == tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_DISCONNECTED
}

func shortStatus(c *tokenvaultv1.Connection) string {
	if isKeyAlone(c) {
		return "API KEY"
	}
	return describeStatus(c.GetStatus())
}

func shortAccount(c *tokenvaultv1.Connection) string {
	if text := describeAccount(c.GetAccount()); text != unknownAccount {
		return text
	}
	return "-"
}

func shortEnd(c *tokenvaultv1.Connection) string {
	if isKeyAlone(c) {
		return "-"
	}
	return describeTime(c.GetExpireTime(), "never")
}
