//go:build !unix

package netlimit

import "math"

// maxFiles is how many files the process may have open: there is no limit here.
func maxFiles() uint64 { return math.MaxUint64 }
