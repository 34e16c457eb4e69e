package provider

import (
	"regexp/syntax"
	"slices"
	"strings"
)

// onlyHostLabel reports whether all that a pattern matches is made of characters
// of a host name's label.
func onlyHostLabel(pattern string) bool {
	inner := anchored(pattern)
	return inner != nil && onlyAll(inner, isLabelRune)
}

// onlySegment reports whether all that a pattern matches is made of characters
// that mean nothing in a URL's path.
func onlySegment(pattern string) bool {
	inner := anchored(pattern)
	return inner != nil && onlyAll(inner, func(r rune) bool { return r == '.' || r == '_' || isLabelRune(r) })
}

// onlyOrigin reports whether all that a pattern matches is https:// and a host
// name that ends in a dot and a domain of two labels or more, always the same.
func onlyOrigin(pattern string) bool {
	inner := anchored(pattern)
	if len(inner) < 2 || !isLiteral(inner[0]) || !isLiteral(inner[len(inner)-1]) {
		return false
	}
	first, last := string(inner[0].Rune), string(inner[len(inner)-1].Rune)
	host, ok := strings.CutPrefix(first, "https://")
	domain, dotted := strings.CutPrefix(last, ".")
	if !ok || !dotted || !strings.Contains(strings.Trim(domain, "."), ".") {
		return false
	}
	allowed := func(r rune) bool { return r == '.' || isLabelRune(r) }
	for _, r := range host + domain {
		if !allowed(r) {
			return false
		}
	}
	return onlyAll(inner[1:len(inner)-1], allowed)
}

func isLiteral(re *syntax.Regexp) bool {
	return re.Op == syntax.OpLiteral && re.Flags&syntax.FoldCase == 0
}

// anchored returns what stands between the ^ and the $ of a pattern; nil where
// it has not got both. It looks at the parsed expression, so that nothing in it
// is overlooked.
func anchored(pattern string) []*syntax.Regexp {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil
	}
	re = re.Simplify()
	if re.Op != syntax.OpConcat || len(re.Sub) < 3 {
		return nil
	}
	first, last := re.Sub[0].Op, re.Sub[len(re.Sub)-1]
	if first != syntax.OpBeginText || last.Op != syntax.OpEndText {
		return nil
	}
	return re.Sub[1 : len(re.Sub)-1]
}

func onlyAll(all []*syntax.Regexp, allowed func(rune) bool) bool {
	return !slices.ContainsFunc(all, func(re *syntax.Regexp) bool { return !onlyRunes(re, allowed) })
}

// onlyRunes reports whether all that an expression matches is made of those
// characters.
func onlyRunes(re *syntax.Regexp, allowed func(rune) bool) bool {
	switch re.Op {
	case syntax.OpLiteral:
		return re.Flags&syntax.FoldCase == 0 && !slices.ContainsFunc(re.Rune, func(r rune) bool { return !allowed(r) })
	case syntax.OpCharClass:
		for i := 0; i+1 < len(re.Rune); i += 2 {
			for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
				if !allowed(r) {
					return false
				}
			}
		}
		return true
	case syntax.OpEmptyMatch:
		return true
	case syntax.OpCapture, syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat, syntax.OpConcat, syntax.OpAlternate:
		return onlyAll(re.Sub, allowed)
	default:
		return false // any character, anchors in the middle, word boundaries
	}
}

// groups returns the named groups of the pattern that take part in every match.
func (k *APIKey) groups() map[string]*syntax.Regexp {
	groups := map[string]*syntax.Regexp{}
	if k == nil {
		return groups
	}
	re, err := syntax.Parse(k.Pattern, syntax.Perl)
	if err != nil {
		return groups
	}
	var walk func(*syntax.Regexp)
	walk = func(re *syntax.Regexp) {
		switch re.Op {
		case syntax.OpCapture:
			if re.Name != "" {
				groups[re.Name] = re.Sub[0]
			}
			walk(re.Sub[0])
		case syntax.OpConcat, syntax.OpPlus:
			for _, sub := range re.Sub {
				walk(sub)
			}
		}
	}
	walk(re)
	return groups
}

func isLabelRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-'
}
