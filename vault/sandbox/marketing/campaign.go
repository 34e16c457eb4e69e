package marketing

import (
	"maps"
	"strings"
	"time"
)

// campaign is one email to a list, or to a part of it.
type campaign struct {
	id          string
	webID       int
	parent      string // it was replicated from
	kind        string
	status      string // save, schedule, sending, sent, canceled
	listID      string // "": not chosen yet
	segmentOpts object // nil: the whole list
	settings    object
	tracking    object
	other       object // variate_settings, rss_opts and social_card, kept as they came
	contentType string
	html, plain string

	created    time.Time
	sendAt     time.Time // when it is to be sent, or was begun to be
	sent       time.Time // zero: it was not
	deliveries []*delivery
	byHash     map[string]*delivery
}

func campaignRoutes() []route {
	const one = "/campaigns/{campaign}"
	test := thing(map[string]schema{"test_emails": array(text()), "send_type": text("html", "plaintext")}).requires("test_emails", "send_type")
	schedule := thing(map[string]schema{
		"schedule_time": text(), "timewarp": boolean(), "batch_delivery": thing(map[string]schema{"batch_delay": integer(), "batch_count": integer()}),
	}).requires("schedule_time")
	action := func(name string, s *schema, do func(*call, *campaign) (object, error)) route {
		return route{"POST", one + "/actions/" + name, nil, s, func(c *call) (object, error) {
			campaign, err := c.campaign()
			if err != nil {
				return nil, err
			}
			return do(c, campaign)
		}}
	}
	return []route{
		get("/campaigns", paged("type", "status", "before_send_time", "since_send_time", "before_create_time", "since_create_time",
			"list_id", "folder_id", "member_id", "sort_field", "sort_dir", "include_resend_shortcut_eligibility"), (*call).listCampaigns),
		{"POST", "/campaigns", nil, campaignSchema().requires("type").root(), (*call).addCampaign},
		get(one, []string{"include_resend_shortcut_eligibility", "include_resend_shortcut_usage"}, (*call).getCampaign),
		{"PATCH", one, nil, campaignSchema().root(), (*call).patchCampaign},
		{"DELETE", one, nil, nil, (*call).deleteCampaign},
		get(one+"/content", nil, (*call).getContent),
		{"PUT", one + "/content", nil, contentSchema().root(), (*call).putContent},
		get(one+"/send-checklist", nil, (*call).getChecklist),
		action("send", nil, (*call).send),
		action("schedule", schedule.root(), (*call).schedule),
		action("unschedule", nil, (*call).unschedule),
		action("test", test.root(), (*call).test),
		action("cancel-send", nil, (*call).cancel),
		action("replicate", nil, (*call).replicate),
	}
}

// campaign returns the campaign that the path names.
func (c *call) campaign() (*campaign, error) {
	for _, campaign := range c.campaigns {
		if campaign.id == c.params["campaign"] {
			return campaign, nil
		}
	}
	return nil, notFound()
}

func (c *call) listCampaigns() (object, error) {
	kind, err := c.oneOf("type", "regular", "plaintext", "absplit", "rss", "variate")
	if err != nil {
		return nil, err
	}
	status, err := c.oneOf("status", "save", "paused", "schedule", "sending", "sent")
	if err != nil {
		return nil, err
	}
	sent, err := between(c, "send_time", (*campaign).sendTime)
	if err != nil {
		return nil, err
	}
	created, err := between(c, "create_time", func(k *campaign) time.Time { return k.created })
	if err != nil {
		return nil, err
	}
	is := func(k *campaign) bool {
		return (kind == "" || k.kind == kind) && (status == "" || k.status == status) && c.param("folder_id") == "" &&
			(c.param("list_id") == "" || k.listID == c.param("list_id")) &&
			(c.param("member_id") == "" || k.deliveryTo(c.param("member_id")) != nil)
	}
	campaigns, err := sorted(c, only(c.campaigns, is, sent, created), map[string]func(*campaign) int64{
		"create_time": at(func(k *campaign) time.Time { return k.created }), "send_time": at((*campaign).sendTime),
	})
	if err != nil {
		return nil, err
	}
	return shown(c, "campaigns", campaigns, c.showCampaign, nil)
}

// sendTime is when it was sent or will be. Zero: it is not known yet.
func (k *campaign) sendTime() time.Time {
	if k.sent.IsZero() {
		return k.sendAt
	}
	return k.sent
}

func (c *call) getCampaign() (object, error) {
	k, err := c.campaign()
	if err != nil {
		return nil, err
	}
	return c.showCampaign(k), nil
}

func (c *call) showCampaign(k *campaign) object {
	path := "/campaigns/" + k.id
	settings := object{
		"subject_line": "", "preview_text": "", "title": "", "from_name": "", "reply_to": "", "use_conversation": false, "to_name": "",
		"folder_id": "", "authenticate": true, "auto_footer": false, "inline_css": false, "auto_tweet": false, "fb_comments": true,
		"timewarp": false, "template_id": 0, "drag_and_drop": false,
	}
	maps.Copy(settings, k.settings)
	tracking := object{
		"opens": true, "html_clicks": true, "text_clicks": false, "goal_tracking": false, "ecomm360": false, "google_analytics": "", "clicktale": "",
	}
	maps.Copy(tracking, k.tracking)
	shown := object{
		"id": k.id, "web_id": k.webID, "parent_campaign_id": k.parent, "type": k.kind, "create_time": stamp(k.created),
		"archive_url": "http://eepurl.example/" + k.id, "long_archive_url": "https://sandbox.campaign-archive.example/?id=" + k.id,
		"status": k.status, "emails_sent": len(k.deliveries), "send_time": stamp(k.sendTime()), "content_type": k.contentType,
		"needs_block_refresh": false, "resendable": k.status == "sent", "recipients": c.showRecipients(k), "settings": settings,
		"tracking": tracking, "delivery_status": object{"enabled": false},
		"_links": append(c.editable(path, "content", "send-checklist"), c.actions(path)...),
	}
	maps.Copy(shown, k.other)
	if k.status == "sent" {
		shown["report_summary"] = k.tally(c.now).summary()
	}
	return shown
}

func (c *call) actions(path string) []object {
	var all []object
	for _, name := range []string{"send", "schedule", "unschedule", "test", "cancel-send", "replicate"} {
		all = append(all, c.link(strings.ReplaceAll(name, "-", "_"), path+"/actions/"+name, "POST", ""))
	}
	return all
}

func (c *call) showRecipients(k *campaign) object {
	shown := object{"list_id": k.listID, "list_is_active": false, "list_name": "", "segment_text": "", "recipient_count": 0}
	l := c.account.list(k.listID)
	if l == nil {
		return shown
	}
	shown["list_is_active"], shown["list_name"] = true, l.name
	shown["recipient_count"] = len(l.recipients(k))
	if k.segmentOpts != nil {
		shown["segment_opts"], shown["segment_text"] = k.segmentOpts, "Contacts that match the segment's conditions"
	}
	return shown
}

// recipients are whom a campaign is for, at this moment.
func (l *list) recipients(k *campaign) []*member {
	return only(l.members, func(m *member) bool { return m.status == "subscribed" && l.chosen(k.segmentOpts, m) })
}

// chosen reports whether a member is in what segment_opts describe.
func (l *list) chosen(opts object, m *member) bool {
	if opts == nil {
		return true
	}
	id := intOf(opts, "saved_segment_id")
	for _, s := range l.segments {
		if id != 0 && s.id == id {
			return s.has(m)
		}
	}
	return id == 0 && matches(opts, m)
}

// deliveryTo returns what was sent to the member of a hash. Nil: nothing was.
func (k *campaign) deliveryTo(hash string) *delivery { return k.byHash[hash] }
