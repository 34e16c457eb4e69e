package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tokenvault/tokenvault/vault/access"
)

func newToken() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "token",
		GroupID: "prepare",
		Short:   "Make caller tokens",
		Args:    subcommands,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var asJSON bool
	generate := &cobra.Command{
		Use:   "generate",
		Short: "Make a caller token and its SHA-256",
		Long: `Makes a token with which a program calls the vault, and its SHA-256. The program gets
the token; the configuration gets the hash (token_sha256), from which nobody can
call.`,
		Args: noArguments(""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			token := access.GenerateToken()
			hash := access.HashToken(token).String()
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{"token": token.Reveal(), "token_sha256": hash})
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "token: %s\ntoken_sha256: %s\n", token.Reveal(), hash)
			return err
		},
	}
	generate.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.AddCommand(generate)
	return cmd
}
