package marketing

import (
	"net/http"
	"strings"
)

const schemas = "https://us1.api.mailchimp.com/schema/3.0"

// link is one of an answer's _links.
func (c *call) link(rel, path, method, schema string) object {
	l := object{"rel": rel, "href": c.base + path, "method": method}
	if schema == "" {
		return l
	}
	l["targetSchema"] = schemas + "/Definitions/" + schema + "/Response.json"
	if method != http.MethodGet {
		l["schema"] = schemas + "/Definitions/" + schema + "/" + method + ".json"
	}
	return l
}

// links are those of a resource: itself, what it is part of, and what is below it.
func (c *call) links(path string, below ...string) []object {
	path = "/" + strings.Trim(path, "/")
	parent := path[:max(1, strings.LastIndex(path, "/"))]
	all := []object{
		c.link("self", path, http.MethodGet, named(path)),
		c.link("parent", parent, http.MethodGet, named(parent)),
	}
	for _, name := range below {
		all = append(all, c.link(name, path+"/"+name, http.MethodGet, named("/"+name)))
	}
	return all
}

// editable are the links of a resource that can be changed and removed.
func (c *call) editable(path string, below ...string) []object {
	return append(c.links(path, below...),
		c.link("update", path, http.MethodPatch, named(path)), c.link("delete", path, http.MethodDelete, ""))
}

// named is the schema's name of what is at a path.
func named(path string) string {
	var name strings.Builder
	for step := range strings.SplitSeq(path, "/") {
		switch step {
		case "lists", "members", "segments", "tags", "campaigns", "reports", "content", "send-checklist", "merge-fields", "growth-history", "activity":
			for part := range strings.SplitSeq(step, "-") {
				name.WriteString(strings.ToUpper(part[:1]) + part[1:])
			}
		}
	}
	if name.Len() == 0 {
		return "Root"
	}
	return name.String()
}
