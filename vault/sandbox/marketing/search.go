package marketing

import "strings"

func searchRoutes() []route {
	return []route{
		get("/search-members", []string{"query", "list_id"}, (*call).searchMembers),
		get("/search-campaigns", []string{"query"}, (*call).searchCampaigns),
	}
}

// searched is what to look for, in lower case.
func (c *call) searched() (string, error) {
	query := strings.ToLower(strings.TrimSpace(c.param("query")))
	if query == "" {
		return "", invalid(FieldError{"query", "This value should not be blank."})
	}
	return query, nil
}

// searchMembers finds members by address or name: exactly, or by a part.
func (c *call) searchMembers() (object, error) {
	query, err := c.searched()
	if err != nil {
		return nil, err
	}
	id := c.param("list_id")
	if id != "" && c.account.list(id) == nil {
		return nil, notFound()
	}
	exact, partial := []object{}, []object{}
	for _, l := range c.lists {
		if id != "" && l.id != id {
			continue
		}
		for _, m := range l.members {
			email, name := strings.ToLower(m.email), strings.ToLower(m.fullName())
			if email == query || name == query {
				exact = append(exact, c.showMember(l, m))
			}
			if strings.Contains(email, query) || strings.Contains(name, query) {
				partial = append(partial, c.showMember(l, m))
			}
		}
	}
	found := func(members []object) object { return object{"members": members, "total_items": len(members)} }
	return object{"exact_matches": found(exact), "full_search": found(partial), "_links": c.links("/search-members")}, nil
}

// searchCampaigns finds campaigns by what is written in them.
func (c *call) searchCampaigns() (object, error) {
	query, err := c.searched()
	if err != nil {
		return nil, err
	}
	results := []object{}
	for _, k := range c.campaigns {
		words := strings.Join([]string{textOf(k.settings, "title"), textOf(k.settings, "subject_line"), textOf(k.settings, "from_name"), k.plain}, "\n")
		if strings.Contains(strings.ToLower(words), query) {
			results = append(results, object{"campaign": c.showCampaign(k), "snippet": snippet(words, query)})
		}
	}
	return object{"results": results, "total_items": len(results), "_links": c.links("/search-campaigns")}, nil
}

// snippet is the line in which the query stands.
func snippet(words, query string) string {
	for line := range strings.Lines(words) {
		if strings.Contains(strings.ToLower(line), query) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
