//go:build unix

package audit

import (
	"os"

	"golang.org/x/sys/unix"
)

// mapShared maps the beginning of a file into memory. What is stored there is in the
// file for everybody at once, and stays when the process is killed.
func mapShared(file *os.File, size int) ([]byte, error) {
	return unix.Mmap(int(file.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

func unmap(content []byte) error { return unix.Munmap(content) }
