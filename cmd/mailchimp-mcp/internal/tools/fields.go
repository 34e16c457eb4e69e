package tools

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/marketing"
)

// choice is what all tools take that return what Mailchimp has sent.
type choice struct {
	Fields []string `json:"fields,omitempty" jsonschema:"Which fields to return in place of the usual." max:"50"`
}

// selection says which fields Mailchimp is to send.
type selection struct {
	// container is the name of the list that they are in. Empty: none.
	container string
	// id are those that an answer always has, usual those it has unless others are asked
	// for.
	id, usual []string
}

// fieldName is what a field is called, such as stats.open_rate.
var fieldName = regexp.MustCompile(`^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$`)

// query returns the selection as the API has it.
func (s selection) query(fields []string) (url.Values, error) {
	prefix := ""
	if s.container != "" {
		prefix = s.container + "."
	}
	if slices.Contains(fields, "*") {
		return url.Values{"exclude_fields": {"_links," + prefix + "_links"}}, nil
	}
	if len(fields) == 0 {
		fields = s.usual
	}
	var chosen []string
	for _, field := range slices.Concat(s.id, fields) {
		field = strings.TrimPrefix(field, prefix)
		if !fieldName.MatchString(field) || len(field) > 100 {
			return nil, fmt.Errorf("fields: write names of Mailchimp's API, such as %s", strings.Join(slices.Concat(s.id, s.usual), ", "))
		}
		if !slices.Contains(chosen, prefix+field) {
			chosen = append(chosen, prefix+field)
		}
	}
	if s.container != "" {
		chosen = append(chosen, "total_items")
	}
	return url.Values{"fields": {strings.Join(chosen, ",")}}, nil
}

// missing are those of the fields asked for that none of the items has: Mailchimp leaves
// out in silence what it does not know.
func (s selection) missing(fields []string, items ...any) []any {
	names := []any{}
	for _, field := range fields {
		name := strings.TrimPrefix(field, s.container+".")
		if field == "*" || len(items) == 0 || slices.ContainsFunc(items, func(item any) bool { return has(item, strings.Split(name, ".")) }) {
			continue
		}
		names = append(names, field)
	}
	return names
}

// has tells whether a value has a field, in it or in one of those it is a list of.
func has(v any, steps []string) bool {
	switch v := v.(type) {
	case []any: // an empty one may be of things with the field
		return len(v) == 0 || slices.ContainsFunc(v, func(item any) bool { return has(item, steps) })
	case map[string]any:
		if len(steps) == 0 {
			return true
		}
		inner, ok := v[steps[0]]
		return ok && has(inner, steps[1:])
	}
	return len(steps) == 0
}

// one asks for one thing.
func (s selection) one(ctx context.Context, c *marketing.Client, path marketing.Path, fields []string) (answer, error) {
	query, err := s.query(fields)
	if err != nil {
		return nil, err
	}
	got, err := c.Get(ctx, path, query)
	if err != nil {
		return nil, err
	}
	if missing := s.missing(fields, got); len(missing) > 0 {
		got["fields_not_found"] = missing
	}
	return got, nil
}
