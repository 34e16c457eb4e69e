package provider

import (
	"errors"
	"strings"
)

// urlTemplate is text with {names} in it, taken apart once.
type urlTemplate struct {
	literals []string // one more than names
	names    []string
}

func parseTemplate(text string) (urlTemplate, error) {
	var t urlTemplate
	for {
		literal, rest, open := strings.Cut(text, "{")
		if strings.Contains(literal, "}") {
			return urlTemplate{}, errors.New("has a } without a {")
		}
		t.literals = append(t.literals, literal)
		if !open {
			return t, nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || !captureName.MatchString(name) {
			return urlTemplate{}, errors.New("write the name of a captured value between { and }")
		}
		t.names = append(t.names, name)
		text = after
	}
}

// fill returns the text with each name replaced.
func (t urlTemplate) fill(value func(name string) string) string {
	if len(t.names) == 0 {
		return t.literals[0]
	}
	var out strings.Builder
	out.Grow(96)
	for i, literal := range t.literals {
		out.WriteString(literal)
		if i < len(t.names) {
			out.WriteString(value(t.names[i]))
		}
	}
	return out.String()
}
