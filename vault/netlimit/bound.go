package netlimit

// Bound is how many connections one of the process's listeners should have at most:
// 4,096, or fewer where the process may open few files. Two listeners leave a
// quarter of those to everything else.
func Bound() int { return boundOf(maxFiles()) }

func boundOf(files uint64) int {
	return int(max(1, min(most, files/8*3)))
}
