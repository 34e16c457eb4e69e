// Package nearest finds what somebody may have meant by a name that is not there.
package nearest

import (
	"cmp"
	"slices"
	"strings"
)

// maxNames is how many names are given.
const maxNames = 3

// Names returns those of all that are a slip of the keyboard away from name, or
// that one of the two begins the other: the nearest first, at most three.
func Names(name string, all []string) []string {
	type candidate struct {
		name     string
		distance int
	}
	var near []candidate
	lower := strings.ToLower(name)
	for _, other := range all {
		d := distance(lower, strings.ToLower(other))
		isPart := len(name) >= 3 && len(other) >= 3 && (strings.HasPrefix(other, lower) || strings.HasPrefix(lower, other))
		if d <= max(1, len(name)/3) || isPart {
			near = append(near, candidate{other, d})
		}
	}
	slices.SortFunc(near, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), strings.Compare(a.name, b.name))
	})
	var names []string
	for _, c := range near[:min(len(near), maxNames)] {
		names = append(names, c.name)
	}
	return names
}

// distance counts the bytes to insert, delete, replace, or swap with their
// neighbour, that lead from a to b (optimal string alignment).
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
