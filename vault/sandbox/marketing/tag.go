package marketing

import (
	"slices"
	"strings"
	"time"
)

// A tag is a static segment: both names are of one thing.

func tagsSchema() schema {
	one := thing(map[string]schema{"name": text(), "status": text("active", "inactive")}).requires("name", "status")
	return thing(map[string]schema{"tags": array(one), "is_syncing": boolean()}).requires("tags")
}

func (c *call) listMemberTags() (object, error) {
	l, m, err := c.member()
	if err != nil {
		return nil, err
	}
	has := func(s *segment) bool { _, ok := m.tags[s.id]; return ok }
	show := func(s *segment) object {
		return object{"id": s.id, "name": s.name, "date_added": stamp(m.tags[s.id])}
	}
	return shown(c, "tags", only(l.segments, has), show, nil)
}

func (c *call) tagMember() (object, error) {
	l, m, err := c.member()
	if err != nil {
		return nil, err
	}
	tags := arrayOf(c.body, "tags")
	for _, tag := range tags {
		one, _ := tag.(object)
		if strings.TrimSpace(textOf(one, "name")) == "" {
			return nil, invalid(FieldError{"tags", "A tag's name should not be blank."})
		}
	}
	for _, tag := range tags {
		one, _ := tag.(object)
		name := textOf(one, "name")
		if textOf(one, "status") == "active" {
			c.tag(l, m, name)
		} else if s := l.tag(name); s != nil {
			delete(m.tags, s.id)
			s.updated = c.now
		}
	}
	m.changed = c.now
	return nil, nil
}

// tag returns the static segment of that name, in whatever case. Nil: there is
// none.
func (l *list) tag(name string) *segment {
	i := slices.IndexFunc(l.segments, func(s *segment) bool { return s.static() && strings.EqualFold(s.name, name) })
	if i < 0 {
		return nil
	}
	return l.segments[i]
}

// tag gives a member a tag, which is made if it is not there.
func (c *call) tag(l *list, m *member, name string) {
	s := l.tag(name)
	if s == nil {
		s = &segment{id: c.nextID(), name: name, kind: "static", created: c.now}
		l.segments = append(l.segments, s)
	}
	s.updated = c.now
	if m.tags == nil {
		m.tags = map[int]time.Time{}
	}
	if _, has := m.tags[s.id]; !has {
		m.tags[s.id] = c.now
	}
}

func (c *call) searchTags() (object, error) {
	l, err := c.list()
	if err != nil {
		return nil, err
	}
	tags := []object{}
	for _, s := range l.segments {
		if s.static() && strings.HasPrefix(strings.ToLower(s.name), strings.ToLower(c.param("name"))) {
			tags = append(tags, object{"id": s.id, "name": s.name})
		}
	}
	return object{"tags": tags, "total_items": len(tags), "_links": c.links(c.r.URL.Path)}, nil
}

// nextID is the next number that the account gives away.
func (a *account) nextID() int {
	a.lastID++
	return a.lastID
}
