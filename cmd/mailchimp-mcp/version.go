package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArguments,
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
		return "mailchimp-mcp (unknown version)"
	}
	revision := ""
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && len(setting.Value) >= 12 {
			revision = " " + setting.Value[:12]
		}
	}
	return fmt.Sprintf("mailchimp-mcp %s%s %s", info.Main.Version, revision, info.GoVersion)
}

// serverVersion is what MCP clients are told.
func serverVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(unknown)"
}
