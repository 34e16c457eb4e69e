package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tokenvault/tokenvault/cmd/internal/nearest"
)

// What to say of command lines that cannot be run.

// noArguments refuses arguments.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Root().Commands() {
		names = append(names, c.Name())
	}
	if near := nearest.Names(args[0], names); len(near) > 0 && !cmd.HasParent() {
		return fmt.Errorf("there is no command %q: did you mean %s %s?", args[0], cmd.CommandPath(), strings.Join(near, " or "))
	}
	return fmt.Errorf("%s takes no arguments, and %q is one: see `%[1]s --help`", cmd.CommandPath(), args[0])
}

// flagGroup are flags that belong together.
type flagGroup struct {
	title string
	set   *pflag.FlagSet
}

// groupFlags gives a command flags, and a help text in which they stand in groups.
func groupFlags(cmd *cobra.Command, groups []flagGroup) {
	for _, g := range groups {
		cmd.Flags().AddFlagSet(g.set)
	}
	cmd.SetUsageFunc(func(cmd *cobra.Command) error {
		out := cmd.OutOrStderr()
		fmt.Fprintf(out, "Usage:\n  %s\n", cmd.UseLine())
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				fmt.Fprintf(out, "  %-24s %s\n", c.CommandPath(), c.Short)
			}
		}
		for _, g := range groups {
			fmt.Fprintf(out, "\n%s:\n%s", g.title, g.set.FlagUsages())
		}
		return nil
	})
}
