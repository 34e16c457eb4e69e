package marketing

import (
	"slices"
	"strings"
	"time"
)

// list is an audience.
type list struct {
	id        string
	webID     int
	name      string
	created   time.Time
	defaults  object // of campaigns
	contact   object
	fields    []mergeField
	members   []*member
	segments  []*segment      // tags too
	forgotten map[string]bool // hashes of those who were deleted for good
}

// mergeField is a field of the members.
type mergeField struct {
	id        int
	tag, name string
	kind      string
	required  bool
}

func listRoutes() []route {
	return []route{
		get("/lists", paged("before_date_created", "since_date_created", "before_campaign_last_sent", "since_campaign_last_sent", "email", "sort_field", "sort_dir", "has_ecommerce_store", "include_total_contacts"), (*call).listLists),
		get("/lists/{list}", []string{"include_total_contacts"}, (*call).getList),
		get("/lists/{list}/merge-fields", paged("type", "required"), (*call).listMergeFields),
		get("/lists/{list}/merge-fields/{field}", nil, (*call).getMergeField),
		get("/lists/{list}/growth-history", paged("sort_field", "sort_dir"), (*call).listGrowth),
		get("/lists/{list}/growth-history/{month}", nil, (*call).getGrowth),
		get("/lists/{list}/activity", paged(), (*call).listActivity),
	}
}

// list returns the audience that the path names.
func (c *call) list() (*list, error) {
	if l := c.account.list(c.params["list"]); l != nil {
		return l, nil
	}
	return nil, notFound()
}

// list returns the audience of that id. Nil: there is none.
func (a *account) list(id string) *list {
	for _, l := range a.lists {
		if l.id == id {
			return l
		}
	}
	return nil
}

func (c *call) listLists() (object, error) {
	created, err := between(c, "date_created", func(l *list) time.Time { return l.created })
	if err != nil {
		return nil, err
	}
	sent, err := between(c, "campaign_last_sent", c.lastSent)
	if err != nil {
		return nil, err
	}
	shop, err := c.flag("has_ecommerce_store")
	if err != nil {
		return nil, err
	}
	has := func(l *list) bool {
		email := c.param("email")
		return !shop && (email == "" || l.find(email) != nil)
	}
	lists, err := sorted(c, only(c.lists, created, sent, has), map[string]func(*list) int64{"date_created": at(func(l *list) time.Time { return l.created })})
	if err != nil {
		return nil, err
	}
	return shown(c, "lists", lists, c.showList, object{"constraints": object{
		"may_create": false, "max_instances": len(c.lists), "current_total_instances": len(c.lists),
	}})
}

func (c *call) getList() (object, error) {
	l, err := c.list()
	if err != nil {
		return nil, err
	}
	return c.showList(l), nil
}

// lastSent is when the last campaign was sent to a list. Zero: none was.
func (c *call) lastSent(l *list) (last time.Time) {
	for _, campaign := range c.campaigns {
		if campaign.listID == l.id && campaign.sent.After(last) {
			last = campaign.sent
		}
	}
	return last
}

func (c *call) showList(l *list) object {
	path := "/lists/" + l.id
	return object{
		"id": l.id, "web_id": l.webID, "name": l.name, "contact": l.contact,
		"permission_reminder": "You signed up at the website of " + c.info.Name + ".",
		"use_archive_bar":     true, "campaign_defaults": l.defaults,
		"notify_on_subscribe": "", "notify_on_unsubscribe": "", "date_created": stamp(l.created), "list_rating": 4,
		"email_type_option": false, "subscribe_url_short": "http://eepurl.example/" + l.id,
		"subscribe_url_long": "https://sandbox.list-manage.example/subscribe?id=" + l.id,
		"beamer_address":     c.info.DataCenter + "-" + l.id + "@inbound.example", "visibility": "prv",
		"double_optin": false, "has_welcome": false, "marketing_permissions": false, "modules": []any{},
		"stats":  c.listStats(l),
		"_links": c.editable(path, "members", "segments", "merge-fields", "growth-history", "activity"),
	}
}

func (c *call) listStats(l *list) object {
	subscribed := float64(max(1, l.count("subscribed")))
	opened, clicked, delivered, sent := 0, 0, 0, 0
	for _, campaign := range c.campaigns {
		if campaign.listID == l.id && !campaign.sent.IsZero() {
			t := campaign.tally(c.now)
			opened, clicked, delivered, sent = opened+t.openers, clicked+t.clickers, delivered+t.delivered, sent+1
		}
	}
	var joined, left time.Time
	for _, m := range l.members {
		if m.optIn.After(joined) {
			joined = m.optIn
		}
		if m.left.After(left) {
			left = m.left
		}
	}
	stats := object{
		"member_count": l.count("subscribed"), "unsubscribe_count": l.count("unsubscribed"), "cleaned_count": l.count("cleaned"),
		"member_count_since_send": 0, "unsubscribe_count_since_send": 0, "cleaned_count_since_send": 0,
		"campaign_count": sent, "campaign_last_sent": stamp(c.lastSent(l)), "merge_field_count": len(l.fields),
		"avg_sub_rate": 12, "avg_unsub_rate": 1, "target_sub_rate": 2,
		"open_rate": rate(opened, delivered) * 100, "click_rate": rate(clicked, delivered) * 100,
		"last_sub_date": stamp(joined), "last_unsub_date": stamp(left),
		"merge_field_rate": subscribed / max(subscribed, float64(len(l.members))),
	}
	if on, _ := c.flag("include_total_contacts"); on {
		stats["total_contacts"] = len(l.members)
	}
	return stats
}

// count is how many members have a status.
func (l *list) count(status string) (n int) {
	for _, m := range l.members {
		if m.status == status {
			n++
		}
	}
	return n
}

// find returns the member of that hash, address or contact id. Nil: there is none.
func (l *list) find(key string) *member {
	for _, m := range l.members {
		if m.hash() == strings.ToLower(key) || strings.EqualFold(m.email, key) || m.contactID == key {
			return m
		}
	}
	return nil
}

func (c *call) listMergeFields() (object, error) {
	l, err := c.list()
	if err != nil {
		return nil, err
	}
	required, err := c.flag("required")
	if err != nil {
		return nil, err
	}
	asked := func(f mergeField) bool {
		return (c.param("type") == "" || c.param("type") == f.kind) && (!required || f.required)
	}
	show := func(f mergeField) object { return c.showMergeField(l, f) }
	return shown(c, "merge_fields", only(l.fields, asked), show, object{"list_id": l.id})
}

func (c *call) getMergeField() (object, error) {
	l, err := c.list()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(l.fields, func(f mergeField) bool { return itoa(f.id) == c.params["field"] })
	if i < 0 {
		return nil, notFound()
	}
	return c.showMergeField(l, l.fields[i]), nil
}

func (c *call) showMergeField(l *list, f mergeField) object {
	return object{
		"merge_id": f.id, "tag": f.tag, "name": f.name, "type": f.kind, "required": f.required, "default_value": "",
		"public": true, "display_order": f.id + 1, "options": object{"size": 25}, "help_text": "", "list_id": l.id,
		"_links": c.editable("/lists/" + l.id + "/merge-fields/" + itoa(f.id)),
	}
}
