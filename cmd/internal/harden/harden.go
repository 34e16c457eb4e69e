// Package harden keeps what a process holds in memory to itself.
package harden

import "log/slog"

// Process keeps what the process is about to read to itself: no core dump has its
// memory, and no other process of the same user reads it or its environment. It is
// called before the first secret is read. What cannot be had is told, and no reason
// not to serve.
func Process(log *slog.Logger) {
	if err := closeProcess(); err != nil {
		log.Warn("the process could not be closed to debuggers and core dumps", slog.Any("cause", err))
	}
}
