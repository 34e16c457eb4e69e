package harden

import (
	"errors"

	"golang.org/x/sys/unix"
)

// closeProcess forbids core dumps and debuggers (ptrace(2), PT_DENY_ATTACH).
func closeProcess() error {
	return errors.Join(
		unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}),
		unix.PtraceDenyAttach(),
	)
}
