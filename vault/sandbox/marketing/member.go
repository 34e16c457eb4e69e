package marketing

import (
	"crypto/md5"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// member is one contact of a list.
type member struct {
	email     string
	contactID string
	webID     int
	status    string
	emailType string
	fields    object // merge fields
	language  string
	vip       bool
	source    string
	ip        string
	rating    int
	location  object

	signedUp, optIn, changed time.Time
	left                     time.Time // unsubscribed or cleaned; zero: did not
	reason                   string    // of leaving
	// bound: left by their own doing or because mail came back, so that nobody
	// but they themselves can subscribe them again.
	bound bool
	tags  map[int]time.Time // by id of the static segment: since when
}

// hash is the MD5 of the address in lower case, by which the API calls members.
func (m *member) hash() string { return hashOf(m.email) }

func hashOf(email string) string {
	sum := md5.Sum([]byte(strings.ToLower(email)))
	return hex.EncodeToString(sum[:])
}

func memberRoutes() []route {
	const one = "/lists/{list}/members/{member}"
	return []route{
		get("/lists/{list}/members", paged("email_type", "status", "since_timestamp_opt", "before_timestamp_opt", "since_last_changed",
			"before_last_changed", "unique_email_id", "vip_only", "sort_field", "sort_dir", "since_last_campaign", "unsubscribed_since"), (*call).listMembers),
		{"POST", "/lists/{list}/members", []string{"skip_merge_validation"}, memberSchema("tags").requires("email_address", "status").root(), (*call).addMember},
		get(one, nil, (*call).getMember),
		{"PUT", one, []string{"skip_merge_validation"}, memberSchema("status_if_new").requires("email_address").root(), (*call).putMember},
		{"PATCH", one, []string{"skip_merge_validation"}, memberSchema().root(), (*call).patchMember},
		{"DELETE", one, nil, nil, (*call).archiveMember},
		{"POST", one + "/actions/delete-permanent", nil, nil, (*call).deleteMember},
		get(one+"/tags", paged(), (*call).listMemberTags),
		{"POST", one + "/tags", nil, tagsSchema().root(), (*call).tagMember},
		get("/lists/{list}/tag-search", []string{"name"}, (*call).searchTags),
	}
}

// member returns the list and the member that the path names.
func (c *call) member() (*list, *member, error) {
	l, err := c.list()
	if err != nil {
		return nil, nil, err
	}
	if m := l.find(c.params["member"]); m != nil {
		return l, m, nil
	}
	return nil, nil, notFound()
}

func (c *call) listMembers() (object, error) {
	l, err := c.list()
	if err != nil {
		return nil, err
	}
	wanted, err := c.wantedMembers(l)
	if err != nil {
		return nil, err
	}
	members, err := sorted(c, only(l.members, wanted...), map[string]func(*member) int64{
		"timestamp_opt":    at(func(m *member) time.Time { return m.optIn }),
		"timestamp_signup": at(func(m *member) time.Time { return m.signedUp }),
		"last_changed":     at(func(m *member) time.Time { return m.changed }),
	})
	if err != nil {
		return nil, err
	}
	return shown(c, "members", members, func(m *member) object { return c.showMember(l, m) }, object{"list_id": l.id})
}

// wantedMembers are the request's filters. Who is archived is not shown unless
// asked for.
func (c *call) wantedMembers(l *list) ([]func(*member) bool, error) {
	status, err := c.oneOf("status", "subscribed", "unsubscribed", "cleaned", "pending", "transactional", "archived")
	if err != nil {
		return nil, err
	}
	vip, err := c.flag("vip_only")
	if err != nil {
		return nil, err
	}
	opted, err := between(c, "timestamp_opt", func(m *member) time.Time { return m.optIn })
	if err != nil {
		return nil, err
	}
	changed, err := between(c, "last_changed", func(m *member) time.Time { return m.changed })
	if err != nil {
		return nil, err
	}
	left, err := c.time("unsubscribed_since")
	if err != nil {
		return nil, err
	}
	recent, err := c.flag("since_last_campaign")
	switch {
	case err != nil:
		return nil, err
	case !left.IsZero() && status != "unsubscribed":
		return nil, badRequest("unsubscribed_since is for status=unsubscribed only.")
	case recent && status == "":
		return nil, badRequest("since_last_campaign needs a status.")
	}
	is := func(m *member) bool {
		return (m.status == status || status == "" && m.status != "archived") && (!vip || m.vip) &&
			(left.IsZero() || m.left.After(left)) && (!recent || m.changed.After(c.lastSent(l))) &&
			(c.param("email_type") == "" || c.param("email_type") == m.emailType) &&
			(c.param("unique_email_id") == "" || c.param("unique_email_id") == m.uniqueID())
	}
	return []func(*member) bool{is, opted, changed}, nil
}

func (c *call) getMember() (object, error) {
	l, m, err := c.member()
	if err != nil {
		return nil, err
	}
	return c.showMember(l, m), nil
}

// uniqueID is the same in all lists.
func (m *member) uniqueID() string { return hexID(10, "unique", m.hash()) }

func (m *member) fullName() string {
	return strings.TrimSpace(textOf(m.fields, "FNAME") + " " + textOf(m.fields, "LNAME"))
}

func (c *call) showMember(l *list, m *member) object {
	path := "/lists/" + l.id + "/members/" + m.hash()
	opened, clicked := c.habits(l, m)
	shown := object{
		"id": m.hash(), "email_address": m.email, "unique_email_id": m.uniqueID(), "contact_id": m.contactID,
		"full_name": m.fullName(), "web_id": m.webID, "email_type": m.emailType, "status": m.status,
		"consents_to_one_to_one_messaging": true, "sms_phone_number": "", "sms_subscription_status": "",
		"merge_fields": m.fields, "interests": object{},
		"stats":     object{"avg_open_rate": opened, "avg_click_rate": clicked},
		"ip_signup": m.ip, "timestamp_signup": stamp(m.signedUp), "ip_opt": m.ip, "timestamp_opt": stamp(m.optIn),
		"member_rating": m.rating, "last_changed": stamp(m.changed), "language": m.language, "vip": m.vip,
		"email_client": "", "location": m.location, "source": m.source, "tags_count": len(m.tags), "tags": l.tagsOf(m),
		"list_id": l.id,
		"_links": append(c.editable(path, "tags"),
			c.link("upsert", path, "PUT", "ListsMembers"), c.link("delete_permanent", path+"/actions/delete-permanent", "POST", "")),
	}
	if m.status == "unsubscribed" {
		shown["unsubscribe_reason"] = m.reason
	}
	return shown
}

// habits are the rates at which a member opens and clicks what was sent to the
// list.
func (c *call) habits(l *list, m *member) (opened, clicked float64) {
	sent, opens, clicks := 0, 0, 0
	for _, campaign := range c.campaigns {
		if campaign.listID != l.id {
			continue
		}
		if d := campaign.deliveryTo(m.hash()); d != nil && !d.bounced {
			sent++
			opens += min(1, len(d.opensUntil(c.now)))
			clicks += min(1, len(d.clicksUntil(c.now)))
		}
	}
	return rate(opens, sent), rate(clicks, sent)
}

// tagsOf returns a member's tags, the oldest first.
func (l *list) tagsOf(m *member) []object {
	tags := []object{}
	for _, s := range l.segments {
		if _, has := m.tags[s.id]; has {
			tags = append(tags, object{"id": s.id, "name": s.name})
		}
	}
	return tags
}

// rate is a part of a whole, with four digits.
func rate(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part*10000/whole) / 10000
}

func memberSchema(more ...string) schema {
	status := text("subscribed", "unsubscribed", "cleaned", "pending", "transactional")
	of := texts("email_address", "language", "ip_signup", "timestamp_signup", "ip_opt", "timestamp_opt")
	of["email_type"], of["status"], of["vip"] = text("html", "text"), status, boolean()
	of["merge_fields"], of["interests"] = thing(nil), thing(nil)
	of["location"] = thing(map[string]schema{"latitude": number(), "longitude": number()})
	of["marketing_permissions"] = array(thing(map[string]schema{"marketing_permission_id": text(), "enabled": boolean()}))
	if slices.Contains(more, "status_if_new") {
		of["status_if_new"] = status
	}
	if slices.Contains(more, "tags") {
		of["tags"] = array(text())
	}
	return thing(of)
}
