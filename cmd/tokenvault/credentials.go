package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
)

func newCredentials() *cobra.Command {
	var client clientFlags
	var minTTL time.Duration
	req := &tokenvaultv1.GetCredentialsRequest{}
	cmd := &cobra.Command{
		Use:        "credentials SUBJECT PROVIDER",
		GroupID:    "use",
		SuggestFor: []string{"creds", "get", "token"},
		Short:      "Print credentials that work now",
		Long: `Prints credentials that work now: the headers to send, where the provider's API is,
and what is known of the account. They are secret: mind who can see the terminal.`,
		Example: "  tokenvault credentials alice mailchimp --json",
		Args:    connectionArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Subject, req.Provider = args[0], args[1]
			if cmd.Flags().Changed("min-ttl") {
				req.MinTtl = durationpb.New(minTTL)
			}
			name := nameOf(req.Subject, req.Provider, req.Label)
			return client.callAbout(cmd.Context(), name, func(ctx context.Context, c tokenvaultv1.VaultServiceClient) error {
				resp, err := c.GetCredentials(ctx, req)
				if reasonOf(err) == "SCOPES_MISSING" {
					return client.scopesMissing(ctx, c, name, err)
				}
				if err != nil {
					return err
				}
				if left := timeLeft(resp); left < minTTL {
					fmt.Fprintf(cmd.ErrOrStderr(), "Note: %s issued a token with %s left, which is the most to be had.\n", req.GetProvider(), showDuration(left))
				}
				if client.json {
					return printJSON(cmd.OutOrStdout(), resp)
				}
				printCredentials(cmd.OutOrStdout(), resp)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&req.Label, "label", "", "the connection's label (default \"default\")")
	cmd.Flags().DurationVar(&minTTL, "min-ttl", time.Minute, "the life that the token should have left, such as 10m; one with less is refreshed first, and where the provider issues none that lives as long, the best to be had is printed, with a note")
	cmd.Flags().StringSliceVar(&req.RequiredScopes, "require-scope", nil, "a `scope` that must have been granted; may be given several times")
	client.add(cmd)
	return cmd
}

// scopesMissing says how to get what is missing: with what is granted already, for
// a new grant takes the place of the old one.
func (f *clientFlags) scopesMissing(ctx context.Context, c tokenvaultv1.VaultServiceClient, n connectionName, cause error) error {
	scopes := strings.Fields(infoOf(cause).GetMetadata()["missing_scopes"])
	resp, err := c.GetConnection(ctx, &tokenvaultv1.GetConnectionRequest{Subject: n.subject, Provider: n.provider, Label: n.label})
	advice := "Run"
	if granted := resp.GetConnection().GetScopes(); len(granted) > 0 {
		scopes = append(scopes, granted...)
	} else if err == nil {
		advice = "No scopes at all are known of this connection: if its provider has none, leave out --require-scope. Otherwise run"
	}
	var flags []string
	for _, scope := range scopes {
		flags = append(flags, "--scope", scope)
	}
	return fmt.Errorf("%s %s `%s` (%s)", whatHappened(cause), advice, f.hint("connect", n, flags...), reasonOf(cause))
}

// timeLeft is very long for what does not end.
func timeLeft(resp *tokenvaultv1.GetCredentialsResponse) time.Duration {
	if resp.GetExpireTime() == nil {
		return math.MaxInt64
	}
	return time.Until(resp.GetExpireTime().AsTime())
}

// showDuration shows a duration in whole minutes, or in seconds where it is less.
func showDuration(d time.Duration) string {
	if d < time.Minute {
		return d.Truncate(time.Second).String()
	}
	text := strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
	if hours, ok := strings.CutSuffix(text, "h0m"); ok {
		return hours + "h"
	}
	return text
}

func printCredentials(w io.Writer, resp *tokenvaultv1.GetCredentialsResponse) {
	for _, name := range slices.Sorted(maps.Keys(resp.GetHeaders())) {
		fmt.Fprintf(w, "%s: %s\n", name, resp.GetHeaders()[name])
	}
	if url := resp.GetApiBaseUrl(); url != "" {
		fmt.Fprintf(w, "API base URL: %s\n", url)
	}
	if a := resp.GetAccount(); a != nil {
		fmt.Fprintf(w, "Account: %s\n", describeAccount(a))
	}
	for _, name := range slices.Sorted(maps.Keys(resp.GetMetadata())) {
		fmt.Fprintf(w, "%s: %s\n", name, resp.GetMetadata()[name])
	}
	if t := resp.GetExpireTime(); t != nil {
		fmt.Fprintf(w, "Expires: %s\n", showTime(t.AsTime()))
	} else {
		fmt.Fprintln(w, "Expires: never")
	}
}
