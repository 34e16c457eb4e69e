package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tokenvault/tokenvault/cmd/internal/cli"
	"github.com/tokenvault/tokenvault/cmd/internal/harden"
)

// run executes a command line and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(stderr, "Error:", err)
		return 1
	}
	return 0
}

// options are what flags and the environment say.
type options struct {
	vault       vaultFlags
	http        httpFlags
	log         cli.LogFlags // of standard error: standard output is the protocol's
	allowWrites bool
}

const rootHelp = `mailchimp-mcp is an MCP server for Mailchimp. MCP clients start it themselves, and it
speaks with them over standard input and output:

  mailchimp-mcp config --subject alice   print what to configure an MCP client with
  mailchimp-mcp                          what the client then runs, for that one person
  mailchimp-mcp --http ADDRESS           serve many people, at http://ADDRESS/mcp

Accounts come from a tokenvault (TOKENVAULT_ADDR, TOKENVAULT_TOKEN_FILE). Where a person
has connected none, the first tool that is called asks them to open a link, and goes on
by itself when they are done. Without a vault, MAILCHIMP_API_KEY is the API key of the one
account there is (MAILCHIMP_API_URL is another base URL of the API, for tests). Where both
are set, a vault that somebody is named for goes before the key; the log says what is left
out.

Tools only read, unless --allow-writes is given.

Over HTTP, nobody is let in without a token, on loopback neither: other programs and other
users of the machine could read the account. Either people sign in,

  mailchimp-mcp --http 127.0.0.1:8091 --issuer https://id.example.com

which takes access tokens (JWTs) of that issuer that are made out to this server, and asks
the vault for the account of the subject they name. Or one person uses it, with a token
of their own choice:

  mailchimp-mcp --http 127.0.0.1:8091 --subject alice --bearer-token file:mcp.token`

func newRoot() *cobra.Command {
	o := &options{}
	root := &cobra.Command{
		Use:                   "mailchimp-mcp [FLAGS]",
		DisableFlagsInUseLine: true,
		Short:                 "An MCP server for Mailchimp",
		Long:                  rootHelp,
		SilenceErrors:         true,
		SilenceUsage:          true,
		Version:               cli.Version("mailchimp-mcp"),
		Args:                  noArguments,
		RunE:                  func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(cli.BadFlag)
	root.SetHelpCommand(&cobra.Command{Hidden: true})
	root.CompletionOptions.DisableDefaultCmd = true
	general := pflag.NewFlagSet("general", pflag.ContinueOnError)
	general.BoolVar(&o.allowWrites, "allow-writes", false, "offer tools that change something at Mailchimp, too")
	o.log.Add(general, "info")
	root.AddCommand(newConfig(), newVersion())
	groupFlags(root, []flagGroup{
		{"Tools and log", general},
		{"Whose account, and where the vault is", o.vault.flags()},
		{"Over HTTP", o.http.listenFlags()},
		{"Over HTTP, who may use it", o.http.signInFlags()},
	})
	return root
}

// run serves until ctx ends or, over stdio, the client goes.
func (o *options) run(cmd *cobra.Command) error {
	log, err := o.log.Logger(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	harden.Process(log)
	for _, leftOut := range o.vault.choose(o.http.issuer != "") {
		log.Warn(leftOut)
	}
	if err := o.vault.check(); err != nil {
		return err
	}
	if o.http.addr == "" {
		if err := o.http.checkUnused(); err != nil {
			return err
		}
		return o.runStdio(cmd, log)
	}
	return o.runHTTP(cmd, log)
}
