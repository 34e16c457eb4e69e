package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// hint returns a command line of this program that runs as it is printed.
func hint(args ...string) string {
	words := []string{shellWord(os.Args[0])}
	for _, arg := range args {
		words = append(words, shellWord(arg))
	}
	return strings.Join(words, " ")
}

// commandLine returns the command line that a command was given, with its flags
// before its arguments. It is for commands whose flags hold nothing secret.
func commandLine(cmd *cobra.Command, args []string) string {
	words := strings.Fields(cmd.CommandPath())[1:]
	cmd.Flags().Visit(func(f *pflag.Flag) {
		name := "--" + f.Name
		if list, ok := f.Value.(pflag.SliceValue); ok {
			for _, value := range list.GetSlice() {
				words = append(words, name, value)
			}
			return
		}
		switch value := f.Value.String(); {
		case f.Value.Type() != "bool":
			words = append(words, name, value)
		case value == "true":
			words = append(words, name)
		}
	})
	if len(args) > 0 && strings.HasPrefix(args[0], "-") {
		words = append(words, "--")
	}
	return hint(append(words, args...)...)
}

// shellWord quotes text for a POSIX shell, where it needs it.
func shellWord(text string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@%+=,"
	if text != "" && strings.Trim(text, plain) == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// defaultLabel is the label where none is given.
const defaultLabel = "default"

// connectionName is what the commands about one connection name.
type connectionName struct{ subject, provider, label string }

// nameOf fills in the default label.
func nameOf(subject, provider, label string) connectionName {
	if label == "" {
		label = defaultLabel
	}
	return connectionName{subject, provider, label}
}

func (n connectionName) isDefaultLabel() bool { return n.label == defaultLabel }

// String names a connection in a sentence.
func (n connectionName) String() string {
	text := n.subject + " at " + n.provider
	if !n.isDefaultLabel() {
		text += " (label " + n.label + ")"
	}
	return text
}

// hint returns a command line about the connection at the vault of f, with flags
// of the command's own.
func (f *clientFlags) hint(command string, n connectionName, flags ...string) string {
	args := append([]string{command}, flags...)
	if !n.isDefaultLabel() {
		args = append(args, "--label", n.label)
	}
	args = append(args, f.elsewhere()...)
	if strings.HasPrefix(n.subject, "-") {
		args = append(args, "--")
	}
	return hint(append(args, n.subject, n.provider)...)
}

// hintAt returns a command line at the vault of f.
func (f *clientFlags) hintAt(command ...string) string {
	return hint(append(command, f.elsewhere()...)...)
}

// elsewhere are the flags for a vault that is not where, or how, commands use one
// anyway.
func (f *clientFlags) elsewhere() []string {
	var flags []string
	if f.addr != defaultAddr() {
		flags = append(flags, "--addr", f.addr)
	}
	return append(flags, f.transport.elsewhere()...)
}
