package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tokenvault/tokenvault/cmd/internal/cli"
)

// run executes a command line and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if cmd, err := root.ExecuteContextC(ctx); err != nil {
		fmt.Fprintln(stderr, "Error:", explain(cmd, err))
		return 1
	}
	return 0
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "tokenvault",
		Short: "Keeps OAuth tokens for other programs",
		Long: `tokenvault keeps OAuth tokens for other programs.

A person connects an account in a browser, once. Programs ask GetCredentials over
gRPC and get a token that works now.

  tokenvault demo     see the whole job done, by itself, in the terminal
  tokenvault dev      run a vault with a made-up provider, to try things in a browser
  tokenvault serve    run a vault`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       cli.Version("tokenvault"),
		Args:          subcommands,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(cli.BadFlag)
	root.SetHelpCommand(newHelp())
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddGroup(
		&cobra.Group{ID: "run", Title: "Run a vault:"},
		&cobra.Group{ID: "use", Title: "Use a running vault:"},
		&cobra.Group{ID: "prepare", Title: "Prepare and check:"},
	)
	root.SetHelpCommandGroupID("prepare")
	root.AddCommand(
		newServe(), newDev(), newDemo(), newSandbox(),
		newConnect(), newConfirm(), newCredentials(), newStatus(), newList(), newWatch(), newRefresh(), newDisconnect(), newAPIKey(), newPortal(),
		newAudit(), newConfig(), newProvider(), newKey(), newToken(), newVersion(),
	)
	return root
}
