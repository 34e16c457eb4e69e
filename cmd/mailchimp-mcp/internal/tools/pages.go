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
	Count  int `json:"count,omitempty" jsonschema:"How many to return." min:"1" max:"100" default:"20"`
	Offset int `json:"offset,omitempty" jsonschema:"How many to leave out first: next_offset of the page before." min:"0" default:"0"`
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
	if l.isWhole {
		return l.page.cutOut(as, items), nil
	}
	return pageOf(as, items, l.page.Offset, number(got["total_items"])), nil
}

// pageOf is how a page is answered.
func pageOf(name string, items []any, offset, total int) answer {
	if items == nil {
		items = []any{}
	}
	a := answer{name: items, "total_items": total}
	if next := offset + len(items); len(items) > 0 && next < total {
		a["next_offset"] = next
	}
	return a
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
