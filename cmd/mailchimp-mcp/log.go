package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/pflag"
)

// logFlags say what is logged, to standard error: standard output is the protocol's.
type logFlags struct {
	level  string
	format string
}

func (f *logFlags) add(set *pflag.FlagSet) {
	set.StringVar(&f.level, "log-level", "info", "least level to log: debug, info, warn or error")
	set.StringVar(&f.format, "log-format", "text", "format of the log: text or json")
}

func (f *logFlags) logger(w io.Writer) (*slog.Logger, error) {
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

// protocolLog is for the SDK, which tells of each session and each step at the level
// info: that is for those who debug.
func protocolLog(log *slog.Logger) *slog.Logger {
	return slog.New(demoting{log.Handler()})
}

// demoting has less than warnings logged at the level debug.
type demoting struct{ slog.Handler }

// Enabled implements slog.Handler.
func (h demoting) Enabled(ctx context.Context, level slog.Level) bool {
	return h.Handler.Enabled(ctx, demoted(level))
}

// Handle implements slog.Handler.
func (h demoting) Handle(ctx context.Context, r slog.Record) error {
	r.Level = demoted(r.Level)
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h demoting) WithAttrs(attrs []slog.Attr) slog.Handler {
	return demoting{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h demoting) WithGroup(name string) slog.Handler { return demoting{h.Handler.WithGroup(name)} }

func demoted(level slog.Level) slog.Level {
	if level < slog.LevelWarn {
		return min(level, slog.LevelDebug)
	}
	return level
}
