package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tokenvault/tokenvault/vault/client"
)

// keyPlace is where people write their API key, which is not printed.
const keyPlace = "YOUR-API-KEY"

const configHelp = `Prints what an MCP client needs to run this server for one person, made of the flags and
the environment that it is called with:

  mailchimp-mcp config --vault 127.0.0.1:9090 --token-file .tokenvault/caller.token --subject alice

There is no secret in it: the caller token stays in its file.

Most clients read mcpServers, to which "mailchimp" is to be added in the client's file:

  Claude Desktop   claude_desktop_config.json, in ~/Library/Application Support/Claude (macOS)
                   or %APPDATA%\Claude (Windows)
  Cursor           ~/.cursor/mcp.json, or .cursor/mcp.json in a project
  Claude Code      .mcp.json in a project; or run what --client claude-code prints
  VS Code          .vscode/mcp.json in a workspace, which --client vscode is for

With --http and the other flags of a server over HTTP, it prints what clients need to reach
that: Claude Code, and with --client, Cursor or VS Code.

  mailchimp-mcp config --http 127.0.0.1:8091 --subject alice --bearer-token file:mcp.token`

func newConfig() *cobra.Command {
	c := &configOptions{}
	cmd := &cobra.Command{
		Use:                   "config [FLAGS]",
		DisableFlagsInUseLine: true,
		Short:                 "Print what to configure an MCP client with",
		Long:                  configHelp,
		Args:                  noArguments,
		RunE:                  func(cmd *cobra.Command, _ []string) error { return c.print(cmd) },
	}
	general := pflag.NewFlagSet("general", pflag.ContinueOnError)
	general.StringVar(&c.client, "client", "", "the MCP client, by `name`: claude-desktop, cursor, claude-code or vscode\n(default: the form that most clients read, mcpServers)")
	general.BoolVar(&c.allowWrites, "allow-writes", false, "offer tools that change something at Mailchimp, too")
	groupFlags(cmd, []flagGroup{
		{"Client and tools", general},
		{"Whose account, and where the vault is", c.vault.flags()},
		{"Over HTTP", c.http.listenFlags()},
		{"Over HTTP, who may use it", c.http.signInFlags()},
	})
	return cmd
}

// configOptions are those of the server that clients are to use, and which client it is.
type configOptions struct {
	vault       vaultFlags
	http        httpFlags
	allowWrites bool
	client      string
}

func (c *configOptions) print(cmd *cobra.Command) error {
	if err := checkClient(c.client); err != nil {
		return err
	}
	for _, leftOut := range c.vault.choose(c.http.issuer != "") {
		fmt.Fprintln(cmd.ErrOrStderr(), "Warning:", leftOut)
	}
	if c.http.addr != "" {
		return c.printRemote(cmd)
	}
	if err := c.http.checkUnused(); err != nil {
		return err
	}
	e, err := clientEntry(cmd.Context(), &c.vault, c.allowWrites)
	if err != nil {
		return err
	}
	if c.client == clientVSCode || c.client == clientClaudeCode {
		e.Type = "stdio"
	}
	if err := writeEntry(cmd.OutOrStdout(), c.client, e); err != nil {
		return err
	}
	if c.vault.usesKey() {
		sayWhereToWrite(cmd.ErrOrStderr(), c.client, "the API key", keyPlace)
	}
	return nil
}

// entry is how MCP clients start a server over stdio.
type entry struct {
	Type    string            `json:"type,omitempty"` // for clients that ask for it
	Command string            `json:"command"`
	Args    []string          `json:"args"`
	Env     map[string]string `json:"env"`
}

// clientEntry returns an entry that works in whatever folder a client starts it.
func clientEntry(ctx context.Context, f *vaultFlags, allowWrites bool) (*entry, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	e := &entry{Command: program, Args: []string{}, Env: map[string]string{}}
	if allowWrites {
		e.Args = append(e.Args, "--allow-writes")
	}
	if f.usesKey() {
		if _, err := f.newAccount(); err != nil { // a URL that it refuses may have a password in it
			return nil, err
		}
		e.Env["MAILCHIMP_API_KEY"] = keyPlace
		e.add("MAILCHIMP_API_URL", f.apiURL)
		return e, nil
	}
	switch {
	case f.token != "":
		return nil, errors.New("the token of TOKENVAULT_TOKEN would be in what is printed: write it to a file that only you can read, and name that with --token-file or TOKENVAULT_TOKEN_FILE in place of it")
	case f.subject == "":
		return nil, errors.New("nobody is named whose account it is: set --subject or TOKENVAULT_SUBJECT to the name that the vault has for the person")
	}
	vault, err := f.newClient(ctx, slog.New(slog.DiscardHandler)) // refuses what the server would
	if err != nil {
		return nil, err
	}
	if err := vault.Close(); err != nil {
		return nil, err
	}
	e.add("TOKENVAULT_ADDR", f.vaultAddr())
	e.add("TOKENVAULT_SUBJECT", f.subject)
	// Said where it matters: clients hand their environment on, in which the variable may
	// be set for another vault, and would turn TLS off.
	if _, onMachine, err := client.Target(f.vaultAddr()); f.plaintext || err == nil && !onMachine {
		e.add("TOKENVAULT_PLAINTEXT", strconv.FormatBool(f.plaintext))
	}
	if err := e.addFiles(f); err != nil {
		return nil, err
	}
	if f.provider != "mailchimp" {
		e.Args = append(e.Args, "--provider", f.provider)
	}
	if f.label != "" {
		e.Args = append(e.Args, "--label", f.label)
	}
	if f.returnURL != "" {
		e.Args = append(e.Args, "--return-url", f.returnURL)
	}
	return e, nil
}

// add adds a variable that has a value.
func (e *entry) add(name, value string) {
	if value != "" {
		e.Env[name] = value
	}
}

// addFiles adds the variables that name files, by their absolute paths.
func (e *entry) addFiles(f *vaultFlags) error {
	for _, file := range f.files() {
		path, err := filepath.Abs(file.path)
		if err != nil {
			return err
		}
		e.add(file.variable, path)
	}
	return nil
}
