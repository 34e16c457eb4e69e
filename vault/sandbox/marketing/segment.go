package marketing

import (
	"slices"
	"strings"
	"time"
)

// segment is a part of a list: members who were put there (static), or all who are
// as its options say (saved).
type segment struct {
	id               int
	name, kind       string
	options          object // of a saved one: match and conditions
	created, updated time.Time
}

func (s *segment) static() bool { return s.kind == "static" }

func segmentRoutes() []route {
	const all, one = "/lists/{list}/segments", "/lists/{list}/segments/{segment}"
	included := []string{"include_cleaned", "include_transactional", "include_unsubscribed"}
	editable := thing(map[string]schema{"name": text(), "static_segment": array(text()), "options": optionsSchema()})
	batch := thing(map[string]schema{"members_to_add": array(text()), "members_to_remove": array(text())})
	return []route{
		get(all, paged(append([]string{"type", "since_created_at", "before_created_at", "since_updated_at", "before_updated_at"}, included...)...), (*call).listSegments),
		{"POST", all, nil, editable.requires("name").root(), (*call).addSegment},
		get(one, included, (*call).getSegment),
		{"PATCH", one, nil, editable.root(), (*call).patchSegment},
		{"DELETE", one, nil, nil, (*call).deleteSegment},
		{"POST", one, nil, batch.root(), (*call).batchSegment},
		get(one+"/members", paged(included...), (*call).listSegmentMembers),
		{"POST", one + "/members", nil, thing(texts("email_address")).requires("email_address").root(), (*call).addSegmentMember},
		{"DELETE", one + "/members/{member}", nil, nil, (*call).removeSegmentMember},
	}
}

// segment returns the list and the segment that the path names.
func (c *call) segment() (*list, *segment, error) {
	l, err := c.list()
	if err != nil {
		return nil, nil, err
	}
	for _, s := range l.segments {
		if itoa(s.id) == c.params["segment"] {
			return l, s, nil
		}
	}
	return nil, nil, notFound()
}

func (c *call) listSegments() (object, error) {
	l, err := c.list()
	if err != nil {
		return nil, err
	}
	kind, err := c.oneOf("type", "saved", "static", "fuzzy")
	if err != nil {
		return nil, err
	}
	created, err := between(c, "created_at", func(s *segment) time.Time { return s.created })
	if err != nil {
		return nil, err
	}
	updated, err := between(c, "updated_at", func(s *segment) time.Time { return s.updated })
	if err != nil {
		return nil, err
	}
	is := func(s *segment) bool { return kind == "" || s.kind == kind }
	return shown(c, "segments", only(l.segments, is, created, updated), func(s *segment) object { return c.showSegment(l, s) }, object{"list_id": l.id})
}

func (c *call) getSegment() (object, error) {
	l, s, err := c.segment()
	if err != nil {
		return nil, err
	}
	return c.showSegment(l, s), nil
}

func (c *call) showSegment(l *list, s *segment) object {
	path := "/lists/" + l.id + "/segments/" + itoa(s.id)
	shown := object{
		"id": s.id, "name": s.name, "member_count": len(c.segmentMembers(l, s)), "type": s.kind,
		"created_at": stamp(s.created), "updated_at": stamp(s.updated), "list_id": l.id, "_links": c.editable(path, "members"),
	}
	if s.static() {
		shown["options"] = object{"match": "any", "conditions": []any{object{"field": "static_segment", "op": "static_is", "value": s.id, "condition_type": "StaticSegment"}}}
	} else {
		shown["options"] = s.options
	}
	return shown
}

// segmentMembers are those who are subscribed, and others that the request asks for.
func (c *call) segmentMembers(l *list, s *segment) []*member {
	cleaned, _ := c.flag("include_cleaned")
	transactional, _ := c.flag("include_transactional")
	unsubscribed, _ := c.flag("include_unsubscribed")
	return only(l.members, func(m *member) bool { return s.has(m) }, func(m *member) bool {
		return m.status == "subscribed" || cleaned && m.status == "cleaned" || transactional && m.status == "transactional" || unsubscribed && m.status == "unsubscribed"
	})
}

// has reports whether a member is in the segment, with whatever status.
func (s *segment) has(m *member) bool {
	if s.static() {
		_, has := m.tags[s.id]
		return has
	}
	return matches(s.options, m)
}

func (c *call) listSegmentMembers() (object, error) {
	l, s, err := c.segment()
	if err != nil {
		return nil, err
	}
	return shown(c, "members", c.segmentMembers(l, s), func(m *member) object { return c.showMember(l, m) }, nil)
}

func (c *call) addSegment() (object, error) {
	l, err := c.list()
	if err != nil {
		return nil, err
	}
	s := &segment{id: c.nextID(), kind: "static", created: c.now}
	switch {
	case c.has("static_segment") == c.has("options"):
		return nil, invalid(FieldError{"", "Either static_segment or options should be there."})
	case c.has("options"):
		s.kind = "saved"
	}
	if err := c.changeSegment(l, s); err != nil {
		return nil, err
	}
	l.segments = append(l.segments, s)
	return c.showSegment(l, s), nil
}

func (c *call) patchSegment() (object, error) {
	l, s, err := c.segment()
	if err != nil {
		return nil, err
	}
	if c.has("static_segment") && !s.static() || c.has("options") && s.static() {
		return nil, invalid(FieldError{"", "A segment stays static or saved."})
	}
	if err := c.changeSegment(l, s); err != nil {
		return nil, err
	}
	return c.showSegment(l, s), nil
}

func (c *call) changeSegment(l *list, s *segment) error {
	name := textOf(c.body, "name")
	taken := slices.ContainsFunc(l.segments, func(other *segment) bool { return other != s && strings.EqualFold(other.name, name) })
	switch {
	case c.has("name") && strings.TrimSpace(name) == "":
		return invalid(FieldError{"name", "This value should not be blank."})
	case taken:
		return badRequest("Sorry, that tag already exists.")
	case c.has("options"):
		if errs := checkOptions("options", objectOf(c.body, "options")); errs != nil {
			return invalid(errs...)
		}
		s.options = objectOf(c.body, "options")
	}
	if c.has("name") {
		s.name = name
	}
	s.updated = c.now
	if c.has("static_segment") {
		for _, m := range l.members {
			delete(m.tags, s.id)
		}
		for _, email := range textsOf(c.body, "static_segment") {
			if m := l.find(email); m != nil { // others are passed over
				m.tags[s.id] = c.now
			}
		}
	}
	return nil
}

func (c *call) deleteSegment() (object, error) {
	l, s, err := c.segment()
	if err != nil {
		return nil, err
	}
	for _, m := range l.members {
		delete(m.tags, s.id)
	}
	l.segments = slices.DeleteFunc(l.segments, func(other *segment) bool { return other == s })
	return nil, nil
}

// staticSegment is segment, for what only static ones can do.
func (c *call) staticSegment() (*list, *segment, error) {
	l, s, err := c.segment()
	if err == nil && !s.static() {
		err = badRequest("Members can be added to and removed from static segments only.")
	}
	return l, s, err
}

func (c *call) batchSegment() (object, error) {
	l, s, err := c.staticSegment()
	if err != nil {
		return nil, err
	}
	var unknown []string
	each := func(name string, do func(*member)) []object {
		done := []object{}
		for _, email := range textsOf(c.body, name) {
			m := l.find(email)
			if m == nil {
				unknown = append(unknown, email)
				continue
			}
			do(m)
			done = append(done, c.showMember(l, m))
		}
		return done
	}
	added := each("members_to_add", func(m *member) { m.tags[s.id] = c.now })
	removed := each("members_to_remove", func(m *member) { delete(m.tags, s.id) })
	s.updated = c.now
	errs := []object{}
	if unknown != nil {
		errs = append(errs, object{"email_addresses": unknown, "error": "Email addresses did not exist in the list."})
	}
	return object{
		"members_added": added, "members_removed": removed, "errors": errs, "total_added": len(added), "total_removed": len(removed),
		"error_count": len(unknown), "_links": c.links(c.r.URL.Path),
	}, nil
}

func (c *call) addSegmentMember() (object, error) {
	l, s, err := c.staticSegment()
	if err != nil {
		return nil, err
	}
	m := l.find(textOf(c.body, "email_address"))
	if m == nil || m.status != "subscribed" {
		return nil, problem(400, "Invalid Resource", "The email address is not of a subscribed member of the list.")
	}
	m.tags[s.id], s.updated = c.now, c.now
	return c.showMember(l, m), nil
}

func (c *call) removeSegmentMember() (object, error) {
	l, s, err := c.staticSegment()
	if err != nil {
		return nil, err
	}
	m := l.find(c.params["member"])
	if m == nil || !s.has(m) {
		return nil, notFound()
	}
	delete(m.tags, s.id)
	s.updated = c.now
	return nil, nil
}
