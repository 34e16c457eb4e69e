// Package cli has what this module's commands do alike: the flags of the log, the
// version, secrets that flags refer to, and what to say of flags that cannot be read.
package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tokenvault/tokenvault/cmd/internal/nearest"
)

// BadFlag says where the flags of a command are explained, and which one may have been
// meant. It is for cobra's SetFlagErrorFunc.
func BadFlag(cmd *cobra.Command, err error) error {
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if near := nearest.Names(unknown.GetSpecifiedName(), names); len(near) > 0 {
			return fmt.Errorf("%w: did you mean --%s? See `%s --help`", err, strings.Join(near, " or --"), cmd.CommandPath())
		}
	}
	if value, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		switch value.GetFlag().Value.Type() {
		case "duration":
			return badDuration(cmd, value)
		case "bool":
			return fmt.Errorf("--%s %q is neither true nor false: write --%[1]s alone, or --%[1]s=false", value.GetFlag().Name, value.GetValue())
		}
	}
	return fmt.Errorf("%w: see `%s --help`", err, cmd.CommandPath())
}

// badDuration says how durations are written, above all where only the unit lacks.
func badDuration(cmd *cobra.Command, err *pflag.InvalidValueError) error {
	flag, value := err.GetFlag().Name, err.GetValue()
	if _, isNumber := strconv.Atoi(value); isNumber == nil {
		return fmt.Errorf("--%s %s lacks a unit: write %[2]ss or %[2]sm", flag, value)
	}
	return fmt.Errorf("--%s %q is not a duration: write one such as 10s, 10m or 2h; see `%s --help`", flag, value, cmd.CommandPath())
}
