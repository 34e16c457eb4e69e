package marketing

import (
	"maps"
	"slices"
	"strings"
	"time"
)

func reportRoutes() []route {
	const one = "/reports/{campaign}"
	all := []route{
		get("/reports", paged("type", "before_send_time", "since_send_time"), (*call).listReports),
		get(one, nil, (*call).getReport),
		get(one+"/click-details", paged("sort_field", "sort_dir"), (*call).listClicks),
		get(one+"/click-details/{link}", nil, (*call).getClicks),
		get(one+"/click-details/{link}/members", paged(), (*call).listClickers),
		get(one+"/domain-performance", nil, (*call).listDomains),
		get(one+"/locations", paged(), (*call).listLocations),
		get(one+"/abuse-reports", nil, (*call).listAbuse),
	}
	return append(all, detailRoutes()...)
}

// report returns the campaign that the path names, if it was sent.
func (c *call) report() (*campaign, error) {
	k, err := c.campaign()
	if err == nil && !k.reported(c.now) {
		err = notFound()
	}
	return k, err
}

func (k *campaign) reported(now time.Time) bool {
	return k.status == "sent" && !k.sent.IsZero() && !k.sent.After(now)
}

func (c *call) listReports() (object, error) {
	kind, err := c.oneOf("type", "regular", "plaintext", "absplit", "rss", "variate", "automation")
	if err != nil {
		return nil, err
	}
	sent, err := between(c, "send_time", (*campaign).sendTime)
	if err != nil {
		return nil, err
	}
	is := func(k *campaign) bool { return k.reported(c.now) && (kind == "" || k.kind == kind) }
	return shown(c, "reports", only(c.campaigns, is, sent), c.showReport, nil)
}

func (c *call) getReport() (object, error) {
	k, err := c.report()
	if err != nil {
		return nil, err
	}
	return c.showReport(k), nil
}

func (c *call) showReport(k *campaign) object {
	t := k.tally(c.now)
	active, name := c.listState(k)
	return object{
		"id": k.id, "campaign_title": textOf(k.settings, "title"), "type": k.kind, "list_id": k.listID, "list_is_active": active, "list_name": name,
		"subject_line": textOf(k.settings, "subject_line"), "preview_text": textOf(k.settings, "preview_text"), "emails_sent": t.sent,
		"abuse_reports": t.abuse, "unsubscribed": t.left, "send_time": stamp(k.sent),
		"bounces":  object{"hard_bounces": t.bounced, "soft_bounces": 0, "syntax_errors": 0},
		"forwards": object{"forwards_count": 0, "forwards_opens": 0},
		"opens": object{
			"opens_total": t.opens, "unique_opens": t.openers, "open_rate": rate(t.openers, t.delivered), "last_open": stamp(t.lastOpen),
			"proxy_excluded_opens": t.opens, "proxy_excluded_unique_opens": t.openers, "proxy_excluded_open_rate": rate(t.openers, t.delivered),
		},
		"clicks": object{
			"clicks_total": t.clicks, "unique_clicks": k.uniqueClicks(c.now), "unique_subscriber_clicks": t.clickers,
			"click_rate": rate(t.clickers, t.delivered), "last_click": stamp(t.lastClick),
		},
		"facebook_likes": object{"recipient_likes": 0, "unique_likes": 0, "facebook_likes": 0},
		"industry_stats": object{
			"type": "Other", "open_rate": 0.2, "click_rate": 0.03, "bounce_rate": 0.01, "unopen_rate": 0.79, "unsub_rate": 0.002, "abuse_rate": 0.0001,
		},
		"list_stats":      object{"sub_rate": 12, "unsub_rate": 1, "open_rate": 45, "proxy_excluded_open_rate": 45, "click_rate": 15},
		"timeseries":      k.timeseries(c.now),
		"ecommerce":       object{"total_orders": 0, "total_spent": 0, "total_revenue": 0, "currency_code": "GBP"},
		"delivery_status": object{"enabled": false},
		"_links":          c.links("/reports/"+k.id, "click-details", "open-details", "email-activity", "unsubscribed", "domain-performance", "sent-to", "locations", "abuse-reports"),
	}
}

// listState is whether a campaign's list is still there, and its name.
func (c *call) listState(k *campaign) (active bool, name string) {
	if l := c.account.list(k.listID); l != nil {
		return true, l.name
	}
	return false, ""
}

// timeseries are the first 24 hours after the sending.
func (k *campaign) timeseries(now time.Time) []object {
	hours := []object{}
	for hour := range 24 {
		begin := k.sent.Add(time.Duration(hour) * time.Hour)
		if begin.After(now) {
			break
		}
		within := func(at time.Time) bool {
			return !at.Before(begin) && at.Before(begin.Add(time.Hour)) && !at.After(now)
		}
		opens, clicks, sent := 0, 0, 0
		for _, d := range k.deliveries {
			if len(d.opens) > 0 && within(d.opens[0]) {
				opens++
			}
			if slices.ContainsFunc(d.clicks, func(c click) bool { return within(c.at) }) {
				clicks++
			}
		}
		if hour == 0 {
			sent = len(k.deliveries)
		}
		hours = append(hours, object{
			"timestamp": stamp(begin), "emails_sent": sent, "unique_opens": opens, "proxy_excluded_unique_opens": opens, "recipients_clicks": clicks,
		})
	}
	return hours
}

func (c *call) listDomains() (object, error) {
	k, err := c.report()
	if err != nil {
		return nil, err
	}
	byDomain := map[string]*campaign{}
	var names []string
	for _, d := range k.deliveries {
		_, domain, _ := strings.Cut(d.email, "@")
		if byDomain[domain] == nil {
			byDomain[domain] = &campaign{sent: k.sent}
			names = append(names, domain)
		}
		byDomain[domain].deliveries = append(byDomain[domain].deliveries, d)
	}
	slices.Sort(names)
	domains := []object{}
	for _, name := range names {
		t := byDomain[name].tally(c.now)
		domains = append(domains, object{
			"domain": name, "emails_sent": t.sent, "bounces": t.bounced, "opens": t.openers, "clicks": t.clickers, "unsubs": t.left, "delivered": t.delivered,
			"emails_pct": rate(t.sent, len(k.deliveries)), "bounces_pct": rate(t.bounced, t.sent), "opens_pct": rate(t.openers, t.delivered),
			"clicks_pct": rate(t.clickers, t.delivered), "unsubs_pct": rate(t.left, t.delivered),
		})
	}
	return object{
		"domains": domains, "total_sent": len(k.deliveries), "campaign_id": k.id, "total_items": len(domains),
		"_links": c.links("/reports/" + k.id + "/domain-performance"),
	}, nil
}

// listLocations counts opens by where the members are.
func (c *call) listLocations() (object, error) {
	k, err := c.report()
	if err != nil {
		return nil, err
	}
	byRegion := map[string]object{}
	for _, d := range k.deliveries {
		region := textOf(d.location, "region")
		if len(d.opensUntil(c.now)) == 0 {
			continue
		}
		if byRegion[region] == nil {
			byRegion[region] = object{"country_code": d.location["country_code"], "region": region, "region_name": region, "opens": 0, "proxy_excluded_opens": 0}
		}
		opens, _ := byRegion[region]["opens"].(int)
		byRegion[region]["opens"], byRegion[region]["proxy_excluded_opens"] = opens+1, opens+1
	}
	locations := []object{}
	for _, region := range slices.Sorted(maps.Keys(byRegion)) {
		locations = append(locations, byRegion[region])
	}
	return shown(c, "locations", locations, func(o object) object { return o }, object{"campaign_id": k.id})
}

func (c *call) listAbuse() (object, error) {
	k, err := c.report()
	if err != nil {
		return nil, err
	}
	abuse := []object{}
	for _, d := range k.deliveries {
		if d.abuse.IsZero() || d.abuse.After(c.now) {
			continue
		}
		one := c.showDelivery(k, d)
		delete(one, "contact_status")
		one["id"], one["date"] = len(abuse)+1, stamp(d.abuse)
		abuse = append(abuse, one)
	}
	return object{"abuse_reports": abuse, "campaign_id": k.id, "total_items": len(abuse), "_links": c.links("/reports/" + k.id + "/abuse-reports")}, nil
}
