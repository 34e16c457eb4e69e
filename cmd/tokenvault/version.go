package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		GroupID: "prepare",
		Short:   "Print the version",
		Args:    noArguments(""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version())
			return err
		},
	}
}

// version is what the Go toolchain has written into the binary.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "tokenvault (unknown version)"
	}
	revision := ""
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && len(setting.Value) >= 12 {
			revision = " " + setting.Value[:12]
		}
	}
	return fmt.Sprintf("tokenvault %s%s %s", info.Main.Version, revision, info.GoVersion)
}
