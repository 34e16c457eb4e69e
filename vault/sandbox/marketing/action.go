package marketing

import (
	"maps"
	"time"
)

// check is one item of a send checklist.
type check struct {
	ok              bool
	heading, detail string // what is said where it is not
}

// checklist is what a campaign needs before it can be sent.
func (c *call) checklist(k *campaign) []check {
	l := c.account.list(k.listID)
	recipients := 0
	if l != nil {
		recipients = len(l.recipients(k))
	}
	return []check{
		{l != nil, "List", "You need to pick a list."},
		{l == nil || recipients > 0, "Recipients", "Nobody would get this campaign."},
		{textOf(k.settings, "subject_line") != "", "Subject Line", "You need to write a subject line."},
		{textOf(k.settings, "from_name") != "", "From Name", "You need a from name."},
		{textOf(k.settings, "reply_to") != "", "Replies", "You need a reply-to address."},
		{k.html != "" || k.plain != "", "Content", "You need to write the content."},
	}
}

// unready is the first thing that a campaign lacks. "": it is ready.
func (c *call) unready(k *campaign) string {
	for _, item := range c.checklist(k) {
		if !item.ok {
			return item.detail
		}
	}
	return ""
}

func (c *call) getChecklist() (object, error) {
	k, err := c.campaign()
	if err != nil {
		return nil, err
	}
	items := []object{}
	for i, item := range c.checklist(k) {
		kind, details := "success", "This is ready."
		if !item.ok {
			kind, details = "error", item.detail
		}
		items = append(items, object{"type": kind, "id": 500 + i, "heading": item.heading, "details": details})
	}
	ready := c.unready(k) == "" && (k.status == "save" || k.status == "paused")
	return object{"is_ready": ready, "items": items, "_links": c.links("/campaigns/" + k.id + "/send-checklist")}, nil
}

// notReady refuses what is sent already, on its way, or not complete.
func (c *call) notReady(k *campaign) string {
	if k.status != "save" && k.status != "paused" {
		return "Its status is " + k.status + "."
	}
	return c.unready(k)
}

func (c *call) send(k *campaign) (object, error) {
	if why := c.notReady(k); why != "" {
		return nil, badRequest("Your Campaign is not ready to send. " + why)
	}
	c.begin(k, c.now)
	c.settle()
	return nil, nil
}

func (c *call) schedule(k *campaign) (object, error) {
	at, ok := parseTime(textOf(c.body, "schedule_time"))
	why := c.notReady(k)
	switch {
	case !ok:
		return nil, invalid(FieldError{"schedule_time", "This value is not a time as in 2015-10-21T15:45:00+00:00."})
	case why == "" && !at.Equal(at.Truncate(15*time.Minute)):
		why = "Campaigns can be scheduled on the quarter-hour only (:00, :15, :30, :45)."
	case why == "" && !at.After(c.now):
		why = "The schedule_time is in the past."
	}
	if why != "" {
		return nil, badRequest("This campaign cannot be scheduled: " + why)
	}
	k.status, k.sendAt = "schedule", at
	return nil, nil
}

func (c *call) unschedule(k *campaign) (object, error) {
	if k.status != "schedule" {
		return nil, badRequest("This campaign cannot be unscheduled: Its status is " + k.status + ".")
	}
	k.status, k.sendAt = "save", time.Time{}
	return nil, nil
}

func (c *call) test(k *campaign) (object, error) {
	emails := textsOf(c.body, "test_emails")
	if len(emails) == 0 {
		return nil, invalid(FieldError{"test_emails", "This value should not be blank."})
	}
	for _, email := range emails {
		if err := checkEmail("test_emails", email); err != nil {
			return nil, err
		}
	}
	if k.html == "" && k.plain == "" {
		return nil, badRequest("A test cannot be sent: You need to write the content.")
	}
	return nil, nil
}

// cancel stops a campaign that is still on its way.
func (c *call) cancel(k *campaign) (object, error) {
	if k.status != "sending" {
		return nil, badRequest("This campaign cannot be canceled: Its status is " + k.status + ", and not sending.")
	}
	k.status, k.sent, k.deliveries, k.byHash = "canceled", time.Time{}, nil, nil
	return nil, nil
}

func (c *call) replicate(k *campaign) (object, error) {
	twin := *k
	twin.parent, twin.status, twin.created = k.id, "save", c.now
	twin.sendAt, twin.sent, twin.deliveries, twin.byHash = time.Time{}, time.Time{}, nil, nil
	twin.settings = maps.Clone(k.settings)
	twin.settings["title"] = textOf(k.settings, "title") + " (copy 01)"
	c.enlist(&twin)
	return c.showCampaign(&twin), nil
}

// begin has a campaign go out at a time.
func (c *call) begin(k *campaign, at time.Time) {
	l := c.account.list(k.listID)
	if l == nil {
		k.status = "paused" // its list is gone
		return
	}
	k.status, k.sendAt, k.sent = "sending", at, at.Add(c.config.SendDuration)
	k.deliver(l.recipients(k), k.sent)
}

// settle has happen what time has brought since the last request.
func (c *call) settle() {
	for _, k := range c.campaigns {
		if k.status == "schedule" && !k.sendAt.After(c.now) {
			c.begin(k, k.sendAt)
		}
		if k.status == "sending" && !k.sent.After(c.now) {
			k.status = "sent"
		}
	}
}
