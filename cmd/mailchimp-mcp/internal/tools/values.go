package tools

import (
	"fmt"
	"net/url"
	"time"
)

// setTexts sets those of a body's fields that are given, as name, value, name, value.
func setTexts(body map[string]any, pairs ...string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			body[pairs[i]] = pairs[i+1]
		}
	}
}

// some returns some fields of what Mailchimp has sent.
func some(got map[string]any, names ...string) answer {
	a := answer{}
	for _, name := range names {
		if value, ok := got[name]; ok {
			a[name] = value
		}
	}
	return a
}

// instant reads a time as a model writes it: ISO 8601 with a zone.
func instant(parameter, text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05Z0700"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%s: write a time with a zone in ISO 8601, such as 2026-07-01T09:30:00Z or 2026-07-01T11:30:00+02:00", parameter)
}

// isoTime is how the API has times.
const isoTime = "2006-01-02T15:04:05-07:00"

// setInstant sets a filter that is a time, if there is one. Without a zone it is UTC, as
// what tools answer is, and a date begins at midnight.
func setInstant(query url.Values, name, parameter, text string) error {
	if text == "" {
		return nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			query.Set(name, t.Format(isoTime))
			return nil
		}
	}
	t, err := instant(parameter, text)
	if err != nil {
		return fmt.Errorf("%s: write a date or a time in ISO 8601, such as 2026-07-01 or 2026-07-01T09:30:00Z", parameter)
	}
	query.Set(name, t.Format(isoTime))
	return nil
}
