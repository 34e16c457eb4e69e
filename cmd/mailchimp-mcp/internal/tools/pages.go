package tools

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/marketing"
)

// paging is what all tools take that return lists.
type paging struct {
	Count  int `json:"count,omitempty" jsonschema:"How many to return." min:"1" max:"1000" default:"20"`
	Offset int `json:"offset,omitempty" jsonschema:"The next_offset of the page before." min:"0"`
}

// list is a list of the API's.
type list struct {
	path  marketing.Path
	query url.Values // of filters; may be nil
	pick  selection
	as    string // what the answer calls it. Empty: as the API does
	page  paging
	// isWhole is a list that the API knows no pages of.
	isWhole bool
}

// get asks for a page, and returns it with where the next one begins.
func (l list) get(ctx context.Context, c *marketing.Client, fields []string) (answer, error) {
	query, err := l.pick.query(fields)
	if err != nil {
		return nil, err
	}
	for name, values := range l.query {
		query[name] = values
	}
	if !l.isWhole {
		query.Set("count", strconv.Itoa(l.page.Count))
		query.Set("offset", strconv.Itoa(l.page.Offset))
	}
	got, err := c.Get(ctx, l.path, query)
	if err != nil {
		return nil, err
	}
	items, _ := got[l.pick.container].([]any)
	as := l.as
	if as == "" {
		as = l.pick.container
	}
	missing := l.pick.missing(fields, items...)
	var a answer
	if l.isWhole {
		a = l.page.cutOut(as, items)
	} else {
		a = pageOf(as, items, l.page.Offset, number(got["total_items"]))
	}
	if len(missing) > 0 {
		a["fields_not_found"] = missing
	}
	return a, nil
}

// pageOf is how a page is answered. Where not all items fit into an answer, the next page
// begins with the first that does not.
func pageOf(name string, items []any, offset, total int) answer {
	if items == nil {
		items = []any{}
	}
	items = items[:fitting(items)]
	a := answer{name: items, "total_items": total}
	if next := offset + len(items); len(items) > 0 && next < total {
		a["next_offset"] = next
	}
	return a
}

// fitting is how many items an answer has room for, and one at least.
func fitting(items []any) int {
	const rest = 2_000 // for what an answer has besides
	size := 0
	for i, item := range items {
		data, err := json.Marshal(tidyValue(item, 2))
		if err != nil {
			return len(items) // tidy says what is wrong
		}
		if size += len(data) + 1; size > maxAnswer-rest && i > 0 {
			return i
		}
	}
	return len(items)
}

// cutOut is a page of a list that the API has sent whole.
func (p paging) cutOut(name string, items []any) answer {
	from := min(p.Offset, len(items))
	return pageOf(name, items[from:min(from+p.Count, len(items))], from, len(items))
}

// number reads a whole number of an answer. 0: there is none.
func number(v any) int {
	n, _ := v.(json.Number)
	i, _ := strconv.Atoi(n.String())
	return i
}
