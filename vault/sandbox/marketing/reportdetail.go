package marketing

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// detail is one of the reports that tell of each recipient.
type detail struct {
	path, name string // name: of the list in the answer
	query      []string
	has        func(*call, *delivery) bool // nil: everybody is in it
	show       func(*call, *campaign, *delivery) object
	around     func(*call, *campaign) object // nil: nothing more
}

func detailRoutes() []route {
	var all []route
	for _, d := range []detail{
		{path: "open-details", name: "members", query: []string{"since", "sort_field", "sort_dir"}, has: opened, show: (*call).showOpener, around: (*call).openTotals},
		{path: "email-activity", name: "emails", query: []string{"since"}, show: (*call).showActivity},
		{path: "unsubscribed", name: "unsubscribes", has: unsubscribed, show: (*call).showLeaver},
		{path: "sent-to", name: "sent_to", show: (*call).showSentTo},
	} {
		path := "/reports/{campaign}/" + d.path
		list := func(c *call) (object, error) { return c.listDetail(d) }
		one := func(c *call) (object, error) { return c.getDetail(d) }
		single := slices.DeleteFunc(slices.Clone(d.query), func(name string) bool { return strings.HasPrefix(name, "sort_") })
		all = append(all, get(path, paged(d.query...), list), get(path+"/{member}", single, one))
	}
	return all
}

func (c *call) listDetail(d detail) (object, error) {
	k, err := c.report()
	if err != nil {
		return nil, err
	}
	if _, err := c.time("since"); err != nil {
		return nil, err
	}
	deliveries := only(k.deliveries, func(one *delivery) bool { return d.has == nil || d.has(c, one) })
	if slices.Contains(d.query, "sort_field") {
		first := func(one *delivery) time.Time { return one.opens[0] } // only those who opened are here
		if deliveries, err = sorted(c, deliveries, map[string]func(*delivery) int64{"timestamp": at(first)}); err != nil {
			return nil, err
		}
	}
	around := object{"campaign_id": k.id}
	if d.around != nil {
		maps.Copy(around, d.around(c, k))
	}
	return shown(c, d.name, deliveries, func(one *delivery) object { return d.show(c, k, one) }, around)
}

func (c *call) getDetail(d detail) (object, error) {
	k, err := c.report()
	if err != nil {
		return nil, err
	}
	if _, err := c.time("since"); err != nil {
		return nil, err
	}
	one := k.deliveryTo(strings.ToLower(c.params["member"]))
	if one == nil || d.has != nil && !d.has(c, one) {
		return nil, notFound()
	}
	return d.show(c, k, one), nil
}

// since leaves of times those that the request asks for.
func (c *call) since(at time.Time) bool {
	since, _ := c.time("since") // checked
	return since.IsZero() || at.After(since)
}

func opened(c *call, d *delivery) bool {
	return slices.ContainsFunc(d.opensUntil(c.now), c.since)
}

func unsubscribed(c *call, d *delivery) bool { return !d.left.IsZero() && !d.left.After(c.now) }

// showDelivery is what all these reports tell of a recipient.
func (c *call) showDelivery(k *campaign, d *delivery) object {
	active, _ := c.listState(k)
	vip, status := false, ""
	if l := c.account.list(k.listID); l != nil {
		if m := l.find(d.hash); m != nil {
			vip, status = m.vip, m.status
		}
	}
	return object{
		"campaign_id": k.id, "list_id": k.listID, "list_is_active": active, "contact_status": status,
		"email_id": d.hash, "email_address": d.email, "merge_fields": d.fields, "vip": vip,
	}
}

func (c *call) showOpener(k *campaign, d *delivery) object {
	opens := []object{}
	for _, at := range only(d.opensUntil(c.now), c.since) {
		opens = append(opens, object{"timestamp": stamp(at), "is_proxy_open": false})
	}
	shown := c.showDelivery(k, d)
	shown["opens"], shown["opens_count"], shown["proxy_excluded_opens_count"] = opens, len(opens), len(opens)
	shown["_links"] = c.links("/reports/" + k.id + "/open-details/" + d.hash)
	return shown
}

func (c *call) openTotals(k *campaign) object {
	t := k.tally(c.now)
	return object{"total_opens": t.opens, "total_proxy_excluded_opens": t.opens}
}

func (c *call) showActivity(k *campaign, d *delivery) object {
	activity := []object{}
	add := func(at time.Time, what object) {
		if c.since(at) {
			what["timestamp"] = stamp(at)
			activity = append(activity, what)
		}
	}
	if d.bounced {
		add(k.sent, object{"action": "bounce", "type": "hard"})
	}
	for _, at := range d.opensUntil(c.now) {
		add(at, object{"action": "open", "ip": "192.0.2.1"})
	}
	for _, one := range d.clicksUntil(c.now) {
		add(one.at, object{"action": "click", "url": one.url, "ip": "192.0.2.1"})
	}
	slices.SortStableFunc(activity, func(a, b object) int { return strings.Compare(textOf(a, "timestamp"), textOf(b, "timestamp")) })
	shown := c.showDelivery(k, d)
	delete(shown, "merge_fields")
	delete(shown, "vip")
	delete(shown, "contact_status")
	shown["activity"], shown["_links"] = activity, c.links("/reports/"+k.id+"/email-activity/"+d.hash)
	return shown
}

func (c *call) showLeaver(k *campaign, d *delivery) object {
	shown := c.showDelivery(k, d)
	delete(shown, "contact_status")
	shown["timestamp"], shown["reason"] = stamp(d.left), "I no longer want to receive these emails"
	shown["_links"] = c.links("/reports/" + k.id + "/unsubscribed/" + d.hash)
	return shown
}

func (c *call) showSentTo(k *campaign, d *delivery) object {
	shown := c.showDelivery(k, d)
	delete(shown, "contact_status")
	opens, status, last := d.opensUntil(c.now), "sent", ""
	if d.bounced {
		status = "hard"
	}
	if len(opens) > 0 {
		last = stamp(opens[len(opens)-1])
	}
	shown["status"], shown["open_count"], shown["last_open"], shown["absplit_group"], shown["gmt_offset"] = status, len(opens), last, "", 0
	shown["_links"] = c.links("/reports/" + k.id + "/sent-to/" + d.hash)
	return shown
}
