package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tokenvault/tokenvault/cmd/internal/nearest"
)

// What to say of command lines that cannot be run: what may have been meant, and
// where to read on.

// subcommands are the arguments of a command that only has others below it.
func subcommands(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return unknownCommand(cmd, args[0])
}

func unknownCommand(parent *cobra.Command, name string) error {
	var names []string
	for _, c := range parent.Commands() {
		if c.IsAvailableCommand() || c.Name() == "help" {
			names = append(names, c.Name())
		}
		for _, other := range c.SuggestFor {
			if strings.EqualFold(other, name) {
				return fmt.Errorf("there is no command %q: did you mean %s?", name, c.CommandPath())
			}
		}
	}
	near := nearest.Names(name, names)
	for i, n := range near {
		near[i] = parent.CommandPath() + " " + n
	}
	if len(near) > 0 {
		return fmt.Errorf("there is no command %q: did you mean %s?", name, strings.Join(near, " or "))
	}
	return fmt.Errorf("there is no command %q: see `%s --help`", name, parent.CommandPath())
}

// noArguments refuses arguments. flag, such as "--config", is what the first may
// have been meant for; empty: nothing.
func noArguments(flag string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return nil
		case flag == "":
			return fmt.Errorf("%s takes no arguments, and %q is one: see `%[1]s --help`", cmd.CommandPath(), args[0])
		default:
			return fmt.Errorf("%s takes no arguments: did you mean %s %s?", cmd.CommandPath(), flag, shellWord(args[0]))
		}
	}
}

// connectionArgs are the positional arguments of commands about one connection.
func connectionArgs(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) < 2:
		return fmt.Errorf("name a subject and a provider: %s alice mailchimp", cmd.CommandPath())
	case len(args) > 2:
		return fmt.Errorf("%s takes a subject and a provider, and %q is one too many: did you mean --label %s, or quotes around a subject with spaces?",
			cmd.CommandPath(), args[2], shellWord(args[2]))
	}
	return nil
}

// newHelp is cobra's help command, but for that it fails where there is no such
// command.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Explain a command",
		Long:  "Explains a command, or lists them all.",
		RunE: func(cmd *cobra.Command, args []string) error {
			about := cmd.Root()
			for _, name := range args {
				next := child(about, name)
				if next == nil {
					return unknownCommand(about, name)
				}
				about = next
			}
			about.InitDefaultHelpFlag()
			about.InitDefaultVersionFlag()
			return about.Help()
		},
	}
}

func child(parent *cobra.Command, name string) *cobra.Command {
	for _, c := range parent.Commands() {
		if c.Name() == name {
			return c
		}
	}
	return nil
}
