package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tokenvault/tokenvault/cmd/internal/cli"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		GroupID: "prepare",
		Short:   "Print the version",
		Args:    noArguments(""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), cli.Version("tokenvault"))
			return err
		},
	}
}
