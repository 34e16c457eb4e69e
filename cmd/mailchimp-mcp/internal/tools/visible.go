package tools

import (
	"strings"
	"unicode"
)

// visible leaves out what hides text from people and shows it to models, or turns it
// around: control characters, direction marks, and whatever else shows nothing, such as
// Unicode tags. Each letter of a text can be written with those.
//
// One that joins letters (Persian, families of emoji) and one that makes an emoji of a
// sign stay where something stands before them that shows, and so that no two of a kind
// come one after the other.
func visible(s string) string {
	const (
		shown = iota
		selector
		joiner
	)
	last := joiner // before the first letter, neither has anything to work on
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\u200c' || r == '\u200d':
			if last == joiner {
				return -1
			}
			last = joiner
		case r == '\ufe0e' || r == '\ufe0f':
			if last != shown {
				return -1
			}
			last = selector
		case isHidden(r):
			return -1
		default:
			last = shown
		}
		return r
	}, s)
}

// isHidden reports whether a character shows nothing by itself.
func isHidden(r rune) bool {
	if unicode.IsControl(r) {
		return r != '\n' && r != '\t'
	}
	if unicode.Is(unicode.Prepended_Concatenation_Mark, r) { // signs of Arabic and Syriac
		return false
	}
	return unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}
