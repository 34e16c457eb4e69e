package marketing

import (
	"slices"
	"strconv"
	"time"
)

// growth is what became of a list in one month.
type growth struct {
	month                              string // 2006-01
	subscribed, unsubscribed, archived int    // in all, at its end
}

func (l *list) growth(now time.Time) []growth {
	var months []growth
	first := time.Date(l.created.Year(), l.created.Month(), 1, 0, 0, 0, 0, time.UTC)
	for month := first; !month.After(now); month = month.AddDate(0, 1, 0) {
		g, end := growth{month: month.Format("2006-01")}, month.AddDate(0, 1, 0)
		for _, m := range l.members {
			switch {
			case !m.signedUp.Before(end):
			case m.status == "archived":
				g.archived++
			case !m.left.IsZero() && m.left.Before(end):
				g.unsubscribed++
			default:
				g.subscribed++
			}
		}
		months = append(months, g)
	}
	slices.Reverse(months)
	return months
}

func (c *call) listGrowth() (object, error) {
	l, err := c.list()
	if err != nil {
		return nil, err
	}
	month := func(g growth) time.Time { t, _ := time.Parse("2006-01", g.month); return t }
	months, err := sorted(c, l.growth(c.now), map[string]func(growth) int64{"month": at(month)})
	if err != nil {
		return nil, err
	}
	return shown(c, "history", months, func(g growth) object { return c.showGrowth(l, g) }, object{"list_id": l.id})
}

func (c *call) getGrowth() (object, error) {
	l, err := c.list()
	if err != nil {
		return nil, err
	}
	for _, g := range l.growth(c.now) {
		if g.month == c.params["month"] {
			return c.showGrowth(l, g), nil
		}
	}
	return nil, notFound()
}

func (c *call) showGrowth(l *list, g growth) object {
	return object{
		"list_id": l.id, "month": g.month, "existing": g.subscribed, "imports": 0, "optins": 0, "subscribed": g.subscribed,
		"unsubscribed": g.unsubscribed, "reconfirm": 0, "cleaned": 0, "pending": 0, "deleted": g.archived, "transactional": 0,
		"_links": c.links("/lists/" + l.id + "/growth-history/" + g.month),
	}
}

// listActivity is what was done in each of the last 180 days, the last one first.
func (c *call) listActivity() (object, error) {
	l, err := c.list()
	if err != nil {
		return nil, err
	}
	const days = 180
	activity := make([]object, days)
	index := map[string]object{}
	for i := range activity {
		day := c.now.AddDate(0, 0, -i).Format(time.DateOnly)
		activity[i] = object{
			"day": day, "emails_sent": 0, "unique_opens": 0, "recipient_clicks": 0, "hard_bounce": 0, "soft_bounce": 0,
			"subs": 0, "unsubs": 0, "other_adds": 0, "other_removes": 0, "_links": c.links("/lists/" + l.id + "/activity"),
		}
		index[day] = activity[i]
	}
	add := func(at time.Time, name string, n int) {
		if day := index[at.UTC().Format(time.DateOnly)]; day != nil {
			before, _ := day[name].(int)
			day[name] = before + n
		}
	}
	for _, m := range l.members {
		add(m.signedUp, "subs", 1)
		add(m.left, "unsubs", 1)
	}
	for _, campaign := range c.campaigns {
		if campaign.listID == l.id {
			t := campaign.tally(c.now)
			add(campaign.sent, "emails_sent", t.sent)
			add(campaign.sent, "unique_opens", t.openers)
			add(campaign.sent, "recipient_clicks", t.clickers)
		}
	}
	return shown(c, "activity", activity, func(o object) object { return o }, object{"list_id": l.id})
}

func itoa(n int) string { return strconv.Itoa(n) }
