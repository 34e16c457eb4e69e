package main

import (
	"encoding/json"
	"fmt"
	"io"

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
	var made madeToken
	generate := &cobra.Command{
		Use:   "generate",
		Short: "Make a caller token and its SHA-256",
		Long: `Makes a token with which a program calls the vault, and its SHA-256. The program gets
the token; the configuration gets the hash (token_sha256), from which nobody can
call. With --out the token goes to a file alone, for programs that read it there
(TOKENVAULT_TOKEN_FILE).`,
		Example: "  tokenvault token generate --out caller.token",
		Args:    noArguments("--out"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return made.generate(cmd.OutOrStdout()) },
	}
	generate.Flags().BoolVar(&made.json, "json", false, "print JSON")
	generate.Flags().StringVar(&made.out, "out", "", "write the token to this new `file`, readable by you alone, instead of printing it")
	cmd.AddCommand(generate)
	return cmd
}

// madeToken says where a new token goes.
type madeToken struct {
	json bool
	out  string // a file; empty: it is printed
}

func (m madeToken) generate(w io.Writer) error {
	token := access.GenerateToken()
	said := map[string]string{"token": token.Reveal(), "token_sha256": access.HashToken(token).String()}
	if m.out != "" {
		if err := writeNew(m.out, token.Reveal()+"\n"); err != nil {
			return err
		}
		delete(said, "token")
	}
	if m.json {
		return json.NewEncoder(w).Encode(said)
	}
	first := "token: " + said["token"]
	if m.out != "" {
		first = "The token is in " + m.out + "."
	}
	_, err := fmt.Fprintf(w, "%s\ntoken_sha256: %s\n", first, said["token_sha256"])
	return err
}
