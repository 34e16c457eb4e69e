package marketing

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// page cuts a list by count (10 unless told, 1,000 at most) and offset.
func page[T any](c *call, items []T) ([]T, error) {
	count, err := c.number("count", 10)
	if err != nil {
		return nil, err
	}
	offset, err := c.number("offset", 0)
	if err != nil {
		return nil, err
	}
	if count > 1000 {
		return nil, invalid(FieldError{"count", "This value should be 1000 or less."})
	}
	offset = min(offset, len(items))
	return items[offset:min(offset+count, len(items))], nil
}

func (c *call) number(name string, otherwise int) (int, error) {
	text := c.param(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, invalid(FieldError{name, "This value should be a whole number, 0 or more."})
	}
	return n, nil
}

// oneOf returns a parameter that has few values. "": it is not there.
func (c *call) oneOf(name string, values ...string) (string, error) {
	text := c.param(name)
	if text == "" || slices.Contains(values, text) {
		return text, nil
	}
	return "", invalid(FieldError{name, fmt.Sprintf("This value should be one of %s.", strings.Join(values, ", "))})
}

// flag returns a parameter that is true or false.
func (c *call) flag(name string) (bool, error) {
	text, err := c.oneOf(name, "true", "false", "1", "0")
	return text == "true" || text == "1", err
}

// between returns a filter for items whose time is after the parameter since_what and
// before before_what, as far as these are there.
func between[T any](c *call, what string, at func(T) time.Time) (func(T) bool, error) {
	since, err := c.time("since_" + what)
	if err != nil {
		return nil, err
	}
	before, err := c.time("before_" + what)
	if err != nil {
		return nil, err
	}
	return func(item T) bool {
		t := at(item)
		return (since.IsZero() || t.After(since)) && (before.IsZero() || !t.IsZero() && t.Before(before))
	}, nil
}

func (c *call) time(name string) (time.Time, error) {
	text := c.param(name)
	if text == "" {
		return time.Time{}, nil
	}
	t, ok := parseTime(text)
	if !ok {
		return time.Time{}, invalid(FieldError{name, "This value is not a time as in 2015-10-21T15:41:36+00:00. (A plus sign in a query is written %2B.)"})
	}
	return t, nil
}

// parseTime reads a time of ISO 8601. One without a zone is in UTC.
func parseTime(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// stamp writes a time as Mailchimp does. The zero time is "".
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05-07:00")
}

// sorted returns items by sort_field and sort_dir (ASC unless told), and as they
// are where there is no sort_field.
func sorted[T any](c *call, items []T, by map[string]func(T) int64) ([]T, error) {
	names := make([]string, 0, len(by))
	for name := range by {
		names = append(names, name)
	}
	slices.Sort(names)
	field, err := c.oneOf("sort_field", names...)
	if err != nil {
		return nil, err
	}
	dir, err := c.oneOf("sort_dir", "ASC", "DESC")
	if err != nil || field == "" {
		return items, err
	}
	items = slices.Clone(items)
	slices.SortStableFunc(items, func(a, b T) int {
		if dir == "DESC" {
			a, b = b, a
		}
		return cmp.Compare(by[field](a), by[field](b))
	})
	return items, nil
}

// at is a time as a number, to sort by.
func at[T any](of func(T) time.Time) func(T) int64 {
	return func(item T) int64 { return of(item).UnixMilli() }
}

// only returns the items that are all that is asked for.
func only[T any](items []T, all ...func(T) bool) []T {
	var left []T
	for _, item := range items {
		if !slices.ContainsFunc(all, func(is func(T) bool) bool { return !is(item) }) {
			left = append(left, item)
		}
	}
	return left
}

// shown returns a page of items as a list under a name, with what is around it.
func shown[T any](c *call, name string, items []T, show func(T) object, around object) (object, error) {
	cut, err := page(c, items)
	if err != nil {
		return nil, err
	}
	list := make([]object, len(cut))
	for i, item := range cut {
		list[i] = show(item)
	}
	answer := object{name: list, "total_items": len(items), "_links": c.links(c.r.URL.Path)}
	for key, value := range around {
		answer[key] = value
	}
	return answer, nil
}
