package provider

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// ParamError says what is wrong with a value for a variable.
type ParamError struct {
	Name    string // of the variable
	Problem string // what is wrong and what to do
}

// Error implements error.
func (e *ParamError) Error() string {
	return fmt.Sprintf("provider: parameter %s %s", e.Name, e.Problem)
}

// With returns the provider of one connection: its variables have the values of
// params, or their defaults. It shares all else with p. The error is a
// [*ParamError]; whatever p itself was given before does not count.
func (p *Provider) With(params map[string]string) (*Provider, error) {
	variables := p.config.Definition.Variables
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if _, ok := variables[name]; !ok {
			return nil, &ParamError{Name: name, Problem: "is not one that this provider has; leave it out"}
		}
	}
	if len(variables) == 0 {
		return p, nil
	}
	values := make(map[string]string, len(variables))
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		value := params[name]
		if value == "" {
			value = variables[name].Default
		}
		switch {
		case value == "":
			return nil, &ParamError{Name: name, Problem: "is missing: give it when you connect"}
		case !variableValue.MatchString(value) || strings.Trim(value, ".") == "" || !p.variables[name].MatchString(value):
			return nil, &ParamError{Name: name, Problem: "must match " + variables[name].Pattern}
		}
		values[name] = value
	}
	bound := *p
	bound.params, bound.unbound = values, false
	bound.definition = p.config.Definition.bind(values)
	var err error
	if bound.baseURL, err = parseTemplate(bound.definition.APIBaseURL); err != nil {
		return nil, fmt.Errorf("provider: api_base_url %w", err)
	}
	return &bound, nil
}

// variableValue is what a variable can be anywhere in a URL without changing
// what comes after it.
var variableValue = regexp.MustCompile(`\A[A-Za-z0-9._-]{1,253}\z`)

// bind returns d with the variables in its URLs replaced.
func (d Definition) bind(values map[string]string) Definition {
	known := func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	}
	after := AfterConnect{}
	if d.AfterConnect != nil {
		after = *d.AfterConnect
		d.AfterConnect = &after
	}
	for _, field := range []*string{&d.Issuer, &d.AuthorizeURL, &d.TokenURL, &d.RevokeURL, &d.DeviceURL, &d.APIBaseURL, &after.URL} {
		*field, _ = fillKnown(*field, known) // what else is in braces is a captured value
	}
	return d
}

// matcher compiles a pattern so that it has to match a whole text.
func matcher(pattern string) *regexp.Regexp { return regexp.MustCompile(`\A(?:` + pattern + `)\z`) }
