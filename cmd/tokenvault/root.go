package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"
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
		Version:       version(),
		Args:          subcommands,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(badFlag)
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

// logFlags are the flags of commands that run a vault.
type logFlags struct {
	level  string
	format string
}

func (f *logFlags) add(cmd *cobra.Command, level string) {
	cmd.Flags().StringVar(&f.level, "log-level", level, "least level to log: debug, info, warn or error")
	cmd.Flags().StringVar(&f.format, "log-format", "text", "format of the log: text or json")
}

func (f *logFlags) logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.level)); err != nil {
		return nil, fmt.Errorf("--log-level %q: write debug, info, warn or error", f.level)
	}
	options := &slog.HandlerOptions{Level: level}
	switch f.format {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	default:
		return nil, fmt.Errorf("--log-format %q: write text or json", f.format)
	}
}
