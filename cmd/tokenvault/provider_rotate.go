package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tokenvault/tokenvault/cmd/internal/cli"
	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
)

func newProviderRotateSecret() *cobra.Command {
	var client clientFlags
	var reference string
	var grace time.Duration
	cmd := &cobra.Command{
		Use:        "rotate-secret NAME --secret file:PATH",
		SuggestFor: []string{"rotate"},
		Short:      "Put another client secret into force in a running vault",
		Long: `Puts another client secret into force in a running vault, at once and without a
restart. The one before is tried too while the grace lasts: it does not matter
whether the provider or the vault comes to know the new secret first. The vault
stores it encrypted. It stays in force until the next rotation, or until the
configuration has another secret than it has now.`,
		Example: "  tokenvault provider rotate-secret mailchimp --secret file:new.secret",
		Args:    providerArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if grace < time.Second {
				return errors.New("--grace: write at least 1s: the provider cannot take the new secret at the same moment")
			}
			clientSecret, err := cli.ReadSecret("--secret", reference, cmd.InOrStdin())
			if err != nil {
				return err
			}
			return client.callAdmin(cmd.Context(), func(ctx context.Context, c tokenvaultv1.AdminServiceClient) error {
				resp, err := c.RotateClientSecret(ctx, &tokenvaultv1.RotateClientSecretRequest{
					Provider: args[0], ClientSecret: clientSecret.Reveal(), Grace: durationpb.New(grace),
				})
				if err != nil {
					return err
				}
				if client.json {
					return printJSON(cmd.OutOrStdout(), resp)
				}
				at := resp.GetProvider().GetSecretRotateTime().AsTime()
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "The new client secret of %s is in force. The one before is tried too until %s.\n", args[0], showTime(at.Add(grace)))
				return err
			})
		},
	}
	cmd.Flags().StringVar(&reference, "secret", "", "where the new secret is: `file:PATH`, env:NAME or - for standard input")
	cmd.Flags().DurationVar(&grace, "grace", 24*time.Hour, "for how long the secret before is tried too, at most 720h")
	client.add(cmd)
	return cmd
}
