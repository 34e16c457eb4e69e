package access

import (
	"regexp"
	"strings"
)

// pattern is a glob in which "*" stands for any run of characters, "/" included.
// Plain names and a "*" at the end need no regular expression.
type pattern struct {
	prefix string
	exact  bool
	regexp *regexp.Regexp
}

func newPattern(glob string) pattern {
	prefix, rest, star := strings.Cut(glob, "*")
	switch {
	case !star:
		return pattern{prefix: glob, exact: true}
	case rest == "":
		return pattern{prefix: prefix}
	default:
		quoted := strings.ReplaceAll(regexp.QuoteMeta(glob), `\*`, `.*`)
		return pattern{regexp: regexp.MustCompile(`(?s)\A` + quoted + `\z`)}
	}
}

func (p pattern) matches(name string) bool {
	switch {
	case p.regexp != nil:
		return p.regexp.MatchString(name)
	case p.exact:
		return name == p.prefix
	default:
		return strings.HasPrefix(name, p.prefix)
	}
}

// patterns matches what any of them matches; none match nothing.
type patterns []pattern

func newPatterns(globs []string) patterns {
	ps := make(patterns, len(globs))
	for i, glob := range globs {
		ps[i] = newPattern(glob)
	}
	return ps
}

func (ps patterns) match(name string) bool {
	for _, p := range ps {
		if p.matches(name) {
			return true
		}
	}
	return false
}

// Matches reports whether a glob of a rule matches a name.
func Matches(glob, name string) bool { return newPattern(glob).matches(name) }
