package marketing

import "time"

// clicked is what became of one link of a campaign.
type clicked struct {
	id, url string
	total   int
	last    time.Time
	by      []*delivery
}

// clicked returns what became of each link.
func (k *campaign) clicked(now time.Time) []clicked {
	var all []clicked
	for _, url := range k.urls() {
		one := clicked{id: hexID(10, "link", k.id, url), url: url}
		for _, d := range k.deliveries {
			clicks := only(d.clicksUntil(now), func(c click) bool { return c.url == url })
			if len(clicks) > 0 {
				one.by = append(one.by, d)
				one.total += len(clicks)
				one.last = later(one.last, clicks[len(clicks)-1].at)
			}
		}
		all = append(all, one)
	}
	return all
}

// uniqueClicks counts each member once for each link.
func (k *campaign) uniqueClicks(now time.Time) (n int) {
	for _, one := range k.clicked(now) {
		n += len(one.by)
	}
	return n
}

func (c *call) listClicks() (object, error) {
	k, err := c.report()
	if err != nil {
		return nil, err
	}
	links, err := sorted(c, k.clicked(c.now), map[string]func(clicked) int64{
		"total_clicks": func(one clicked) int64 { return int64(one.total) }, "unique_clicks": func(one clicked) int64 { return int64(len(one.by)) },
	})
	if err != nil {
		return nil, err
	}
	return shown(c, "urls_clicked", links, func(one clicked) object { return c.showClicked(k, one) }, object{"campaign_id": k.id})
}

// clickedLink returns the campaign and the link that the path names.
func (c *call) clickedLink() (*campaign, clicked, error) {
	k, err := c.report()
	if err != nil {
		return nil, clicked{}, err
	}
	for _, one := range k.clicked(c.now) {
		if one.id == c.params["link"] {
			return k, one, nil
		}
	}
	return nil, clicked{}, notFound()
}

func (c *call) getClicks() (object, error) {
	k, one, err := c.clickedLink()
	if err != nil {
		return nil, err
	}
	return c.showClicked(k, one), nil
}

func (c *call) showClicked(k *campaign, one clicked) object {
	t := k.tally(c.now)
	return object{
		"id": one.id, "url": one.url, "total_clicks": one.total, "click_percentage": rate(one.total, t.clicks),
		"unique_clicks": len(one.by), "unique_click_percentage": rate(len(one.by), k.uniqueClicks(c.now)), "last_click": stamp(one.last),
		"campaign_id": k.id, "_links": c.links("/reports/"+k.id+"/click-details/"+one.id, "members"),
	}
}

func (c *call) listClickers() (object, error) {
	k, one, err := c.clickedLink()
	if err != nil {
		return nil, err
	}
	return shown(c, "members", one.by, func(d *delivery) object {
		shown := c.showDelivery(k, d)
		shown["url_id"] = one.id
		shown["clicks"] = len(only(d.clicksUntil(c.now), func(c click) bool { return c.url == one.url }))
		return shown
	}, object{"campaign_id": k.id})
}
