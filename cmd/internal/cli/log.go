package cli

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/pflag"
)

// LogFlags say what a command logs. Add them to its flags first.
type LogFlags struct {
	level, format string
}

// Add adds --log-level and --log-format to a command's flags. level is the default of
// the first.
func (f *LogFlags) Add(set *pflag.FlagSet, level string) {
	set.StringVar(&f.level, "log-level", level, "least level to log: debug, info, warn or error")
	set.StringVar(&f.format, "log-format", "text", "format of the log: text or json")
}

// Logger returns a logger that writes to w. The error says how a flag is written.
func (f *LogFlags) Logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.level)); err != nil {
		return nil, fmt.Errorf("--log-level %q: write debug, info, warn or error", f.level)
	}
	options := &slog.HandlerOptions{Level: level}
	switch f.format {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	default:
		return nil, fmt.Errorf("--log-format %q: write text or json", f.format)
	}
}
