package provider

import (
	"errors"
	"slices"
	"strings"
)

// template is text with {names} in it, taken apart once.
type template struct {
	literals []string // one more than names
	names    []string
}

func parseTemplate(text string) (template, error) {
	var t template
	for {
		literal, rest, open := strings.Cut(text, "{")
		if strings.Contains(literal, "}") {
			return template{}, errors.New("has a } without a {")
		}
		t.literals = append(t.literals, literal)
		if !open {
			return t, nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || !captureName.MatchString(name) {
			return template{}, errors.New("write the name of a variable or of a captured value between { and }")
		}
		t.names = append(t.names, name)
		text = after
	}
}

// holds reports whether a text has that name in braces.
func holds(text, name string) bool {
	t, err := parseTemplate(text)
	return err == nil && slices.Contains(t.names, name)
}

// fill returns the text with each name replaced.
func (t template) fill(value func(name string) string) string {
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

// fillKnown returns the text with each name replaced that has a value, and false
// if one has none.
func fillKnown(text string, value func(name string) (string, bool)) (string, bool) {
	t, err := parseTemplate(text)
	if err != nil {
		return text, false
	}
	known := true
	filled := t.fill(func(name string) string {
		v, ok := value(name)
		if !ok {
			known = false
			return "{" + name + "}"
		}
		return v
	})
	return filled, known
}
