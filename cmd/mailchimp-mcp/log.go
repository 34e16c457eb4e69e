package main

import (
	"context"
	"log/slog"
)

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
