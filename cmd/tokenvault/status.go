package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
)

func newStatus() *cobra.Command {
	var client clientFlags
	req := &tokenvaultv1.GetConnectionRequest{}
	cmd := &cobra.Command{
		Use:     "status SUBJECT PROVIDER",
		GroupID: "use",
		Short:   "Show one connection",
		Long:    "Shows what is known of one connection. It never shows a secret.",
		Example: "  tokenvault status alice mailchimp",
		Args:    connectionArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Subject, req.Provider = args[0], args[1]
			name := nameOf(req.Subject, req.Provider, req.Label)
			return client.showConnection(cmd, name, func(ctx context.Context, c tokenvaultv1.VaultServiceClient) (connectionAnswer, error) {
				return c.GetConnection(ctx, req)
			})
		},
	}
	cmd.Flags().StringVar(&req.Label, "label", "", "the connection's label (default \"default\")")
	client.add(cmd)
	return cmd
}

// connectionAnswer is an answer that shows a connection.
type connectionAnswer interface {
	proto.Message
	GetConnection() *tokenvaultv1.Connection
}

// showConnection calls the vault about one connection and prints what it answers.
func (f *clientFlags) showConnection(cmd *cobra.Command, n connectionName, call func(context.Context, tokenvaultv1.VaultServiceClient) (connectionAnswer, error)) error {
	return f.callAbout(cmd.Context(), n, func(ctx context.Context, c tokenvaultv1.VaultServiceClient) error {
		answer, err := call(ctx, c)
		if err != nil {
			return err
		}
		if f.json {
			return printJSON(cmd.OutOrStdout(), answer)
		}
		return printConnection(cmd.OutOrStdout(), answer.GetConnection())
	})
}

func printConnection(w io.Writer, c *tokenvaultv1.Connection) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "Subject:\t%s\n", c.GetSubject())
	fmt.Fprintf(t, "Provider:\t%s\n", c.GetProvider())
	fmt.Fprintf(t, "Label:\t%s\n", c.GetLabel())
	fmt.Fprintf(t, "Status:\t%s\n", shortStatus(c))
	fmt.Fprintf(t, "Account:\t%s\n", describeAccount(c.GetAccount()))
	fmt.Fprintf(t, "Connected:\t%s\n", describeTime(c.GetConnectTime(), "not yet"))
	fmt.Fprintf(t, "Refreshed:\t%s\n", describeTime(c.GetLastRefreshTime(), "never"))
	fmt.Fprintf(t, "Last used:\t%s\n", describeTime(c.GetLastUsedTime(), "never"))
	fmt.Fprintf(t, "Token ends:\t%s\n", describeTime(c.GetExpireTime(), "never"))
	if len(c.GetScopes()) > 0 {
		fmt.Fprintf(t, "Scopes:\t%s\n", strings.Join(c.GetScopes(), " "))
	}
	if c.GetHasApiKey() {
		fmt.Fprintf(t, "API key:\tset; it serves where no OAuth token does\n")
	}
	if c.GetProblem() != "" {
		fmt.Fprintf(t, "Problem:\t%s\n", c.GetProblem())
	}
	return t.Flush()
}

func describeStatus(s tokenvaultv1.ConnectionStatus) string {
	return strings.TrimPrefix(s.String(), "CONNECTION_STATUS_")
}

func describeTime(t *timestamppb.Timestamp, absent string) string {
	if t == nil {
		return absent
	}
	return showTime(t.AsTime())
}

// showTime shows a time where the reader is.
func showTime(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }

func describeAccount(a *tokenvaultv1.Account) string {
	name, email := a.GetName(), a.GetEmail()
	switch {
	case name != "" && email != "":
		return fmt.Sprintf("%s <%s>", name, email)
	case name != "":
		return name
	case email != "":
		return email
	case a.GetId() != "":
		return a.GetId()
	default:
		return unknownAccount
	}
}

const unknownAccount = "not known"
