package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/tokenvault/tokenvault/vault/keyring"
)

func newKey() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "key",
		GroupID: "prepare",
		Short:   "Make master keys",
		Args:    subcommands,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var out string
	generate := &cobra.Command{
		Use:   "generate",
		Short: "Make a master key",
		Long: `Makes a master key: 32 random bytes in base64. It encrypts all that the vault keeps.
Keep a copy somewhere safe, apart from the database: without it the database is of
no use to anybody, you included.`,
		Example: "  tokenvault key generate --out master.key",
		Args:    noArguments("--out"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			key := keyring.GenerateMasterKey()
			if out == "" {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), key.Reveal())
				return err
			}
			if err := writeNew(out, key.Reveal()+"\n"); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "The master key is in %s. Refer to it with: master_key: file:%s\n", out, out)
			return err
		},
	}
	generate.Flags().StringVar(&out, "out", "", "write to this new `file`, readable by you alone, instead of printing")
	cmd.AddCommand(generate)
	return cmd
}

// writeNew writes a secret to a file that must not be there yet.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if os.IsExist(err) {
		return fmt.Errorf("%s is there already, and is not overwritten; choose another name", path)
	}
	if err != nil {
		return err
	}
	if _, err := f.WriteString(text); err != nil {
		_ = f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
