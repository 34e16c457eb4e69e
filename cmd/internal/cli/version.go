package cli

import (
	"fmt"
	"runtime/debug"
)

// Version is a program's name with what the Go toolchain has written into the binary:
// the module's version, the revision and Go's own version.
func Version(program string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return program + " (unknown version)"
	}
	revision := ""
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && len(setting.Value) >= 12 {
			revision = " " + setting.Value[:12]
		}
	}
	return fmt.Sprintf("%s %s%s %s", program, info.Main.Version, revision, info.GoVersion)
}
