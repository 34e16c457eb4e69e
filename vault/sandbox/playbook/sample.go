package playbook

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"

	"github.com/tokenvault/tokenvault/vault/provider"
)

// likely are values that look like real ones, where a pattern lets them.
func likely() map[string]string {
	return map[string]string{"dc": "us6", "host": "shop.example.com"}
}

// sampleVariable returns a value for a variable.
func sampleVariable(name string, v provider.Variable) (string, error) {
	if v.Default != "" {
		return v.Default, nil
	}
	if whole, err := regexp.Compile(`\A(?:` + v.Pattern + `)\z`); err == nil && whole.MatchString("acme") {
		return "acme", nil
	}
	value, err := sample(v.Pattern, name)
	if err != nil {
		return "", fmt.Errorf("playbook: variables.%s: %w", name, err)
	}
	return value, nil
}

// sample returns a text that a pattern matches as a whole; otherwise, where there
// is no pattern.
func sample(pattern, otherwise string) (string, error) {
	if pattern == "" {
		return otherwise, nil
	}
	whole, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
	if err != nil {
		return "", err
	}
	if text := likely()[strings.TrimPrefix(otherwise, "the-")]; text != "" && whole.MatchString(text) {
		return text, nil
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "", err
	}
	text := generate(parsed.Simplify())
	if !whole.MatchString(text) {
		return "", fmt.Errorf("no sample for the pattern %s; %q does not match it", pattern, text)
	}
	return text, nil
}

// generate returns the plainest text that an expression matches.
func generate(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		return string(re.Rune)
	case syntax.OpCharClass:
		return string(re.Rune[len(re.Rune)-2]) // a letter, where there are any
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "x"
	case syntax.OpCapture:
		if text := likely()[re.Name]; text != "" && regexp.MustCompile(`\A(?:`+re.Sub[0].String()+`)\z`).MatchString(text) {
			return text
		}
		return generate(re.Sub[0])
	case syntax.OpPlus:
		return generate(re.Sub[0])
	case syntax.OpConcat:
		var all strings.Builder
		for _, sub := range re.Sub {
			all.WriteString(generate(sub))
		}
		return all.String()
	case syntax.OpAlternate:
		return generate(re.Sub[0])
	default:
		return ""
	}
}
