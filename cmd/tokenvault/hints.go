package main

import (
	"os"
	"strings"
)

// hint returns a command line of this program that runs as it is printed.
func hint(args ...string) string {
	words := []string{shellWord(os.Args[0])}
	for _, arg := range args {
		words = append(words, shellWord(arg))
	}
	return strings.Join(words, " ")
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

// hint returns a command line about the connection at the vault of f.
func (f *clientFlags) hint(command string, n connectionName) string {
	args := []string{command}
	if !n.isDefaultLabel() {
		args = append(args, "--label", n.label)
	}
	if f.addr != defaultAddr() {
		args = append(args, "--addr", f.addr)
	}
	if strings.HasPrefix(n.subject, "-") {
		args = append(args, "--")
	}
	return hint(append(args, n.subject, n.provider)...)
}
