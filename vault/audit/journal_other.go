//go:build !unix

package audit

import (
	"errors"
	"os"
)

func mapShared(*os.File, int) ([]byte, error) {
	return nil, errors.New("an audit log needs a system on which files can be mapped into memory, such as Linux or macOS")
}

func unmap([]byte) error { return nil }
