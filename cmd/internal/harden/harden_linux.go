package harden

import (
	"errors"

	"golang.org/x/sys/unix"
)

// closeProcess forbids core dumps twice: the limit does not hold where the kernel
// pipes them to a program (core(5)). A process that is not dumpable is none that
// others may trace, and /proc gives its memory and environment to root alone
// (PR_SET_DUMPABLE(2const)).
func closeProcess() error {
	return errors.Join(
		unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}),
		unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0),
	)
}
