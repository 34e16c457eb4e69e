//go:build unix

package netlimit

import "syscall"

// maxFiles is how many files the process may have open. Go raises the soft limit to
// the hard one at start.
func maxFiles() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1024 // what POSIX systems have at least, commonly
	}
	return uint64(limit.Cur)
}
