package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
)

func newWatch() *cobra.Command {
	var client clientFlags
	var status string
	req := &tokenvaultv1.WatchConnectionsRequest{}
	cmd := &cobra.Command{
		Use:     "watch",
		GroupID: "use",
		Short:   "Print what happens to connections, as it happens",
		Long: `Prints a line for each change of the connections that the caller may see, as it
happens, until Ctrl-C. When the vault goes away it waits, and goes on after the last
change. With --json each line is one JSON object, and checkpoints are printed too,
whose resume_token says where to go on.`,
		Example: "  tokenvault watch --provider mailchimp",
		Args:    noArguments("--subject"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if req.Status, err = parseStatus(status); err != nil {
				return err
			}
			print := printChange
			if client.json {
				print = printChangeJSON
			}
			err = client.dial(cmd.Context(), func(ctx context.Context, c tokenvaultv1.VaultServiceClient) error {
				return client.follow(ctx, c, req, cmd.ErrOrStderr(), func(resp *tokenvaultv1.WatchConnectionsResponse) error {
					return print(cmd.OutOrStdout(), resp)
				})
			})
			if cmd.Context().Err() == nil {
				return err
			}
			if req.GetResumeToken() != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "To go on from here within an hour: %s\n", hint("watch", "--resume-token="+req.GetResumeToken()))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&req.Subject, "subject", "", "only this `subject`'s")
	cmd.Flags().StringVar(&req.Provider, "provider", "", "only this `provider`'s")
	cmd.Flags().StringVar(&status, "status", "", "only changes into this `status`: "+statuses)
	cmd.Flags().StringVar(&req.ResumeToken, "resume-token", "", "go on after the answer that had this `token` (default: only what is to come)")
	client.add(cmd)
	return cmd
}

func printChange(w io.Writer, resp *tokenvaultv1.WatchConnectionsResponse) error {
	if resp.GetEvent() == tokenvaultv1.ConnectionEvent_CONNECTION_EVENT_CHECKPOINT {
		return nil
	}
	c := resp.GetConnection()
	_, err := fmt.Fprintf(w, "%s  %s  %v  %s\n", showTime(resp.GetEventTime().AsTime()), strings.TrimPrefix(resp.GetEvent().String(), "CONNECTION_EVENT_"),
		nameOf(c.GetSubject(), c.GetProvider(), c.GetLabel()), describeAccount(c.GetAccount()))
	return err
}

func printChangeJSON(w io.Writer, resp *tokenvaultv1.WatchConnectionsResponse) error {
	text, err := protojson.Marshal(resp)
	if err != nil {
		return err
	}
	var line bytes.Buffer
	if err := json.Compact(&line, text); err != nil { // protojson's white space varies
		return err
	}
	line.WriteByte('\n')
	_, err = w.Write(line.Bytes())
	return err
}
