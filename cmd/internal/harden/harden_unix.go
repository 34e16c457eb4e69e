//go:build unix && !linux && !darwin

package harden

import "golang.org/x/sys/unix"

// closeProcess forbids core dumps. Who may trace a process is for the system's own
// settings here, such as FreeBSD's security.bsd.unprivileged_proc_debug.
func closeProcess() error { return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }
