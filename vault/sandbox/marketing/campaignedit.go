package marketing

import (
	"maps"
	"slices"
)

func campaignSchema() schema {
	segment := optionsSchema()
	segment.of = with(segment.of, map[string]schema{"saved_segment_id": integer(), "prebuilt_segment_id": text()})
	settings := texts("subject_line", "preview_text", "title", "from_name", "reply_to", "to_name", "folder_id")
	for _, name := range []string{"use_conversation", "authenticate", "auto_footer", "inline_css", "auto_tweet", "fb_comments", "timewarp", "drag_and_drop"} {
		settings[name] = boolean()
	}
	settings["template_id"], settings["auto_fb_post"] = integer(), array(text())
	tracking := texts("google_analytics", "clicktale")
	for _, name := range []string{"opens", "html_clicks", "text_clicks", "goal_tracking", "ecomm360"} {
		tracking[name] = boolean()
	}
	tracking["salesforce"], tracking["capsule"] = thing(nil), thing(nil)
	return thing(map[string]schema{
		"type":       text("regular", "plaintext", "absplit", "rss", "variate"),
		"recipients": thing(map[string]schema{"list_id": text(), "segment_opts": segment}),
		"settings":   thing(settings), "tracking": thing(tracking), "content_type": text("template", "multichannel"),
		"variate_settings": thing(nil), "rss_opts": thing(nil), "social_card": thing(texts("image_url", "description", "title")),
	})
}

func (c *call) addCampaign() (object, error) {
	k := &campaign{
		kind: textOf(c.body, "type"), status: "save", created: c.now, settings: object{}, tracking: object{}, other: object{}, contentType: "template",
	}
	if err := c.changeCampaign(k); err != nil {
		return nil, err
	}
	c.enlist(k)
	return c.showCampaign(k), nil
}

// enlist gives a campaign its ids and puts it among the others.
func (c *call) enlist(k *campaign) {
	k.webID = c.nextID()
	k.id = hexID(10, "campaign", itoa(c.info.ID), itoa(k.webID))
	c.campaigns = append(c.campaigns, k)
}

func (c *call) patchCampaign() (object, error) {
	k, err := c.draft("edited")
	if err != nil {
		return nil, err
	}
	if kind := textOf(c.body, "type"); kind != "" && kind != k.kind {
		return nil, invalid(FieldError{"type", "The type of a campaign cannot be changed."})
	}
	changed := *k
	if err := c.changeCampaign(&changed); err != nil {
		return nil, err
	}
	*k = changed
	return c.showCampaign(k), nil
}

// draft is campaign, for what only those can have done that are neither sent nor
// on their way.
func (c *call) draft(what string) (*campaign, error) {
	k, err := c.campaign()
	if err == nil && k.status != "save" && k.status != "paused" {
		err = badRequest("The campaign cannot be " + what + ": its status is " + k.status + ", and not save.")
	}
	return k, err
}

// changeCampaign does what the body says.
func (c *call) changeCampaign(k *campaign) error {
	if c.has("recipients") {
		if err := c.changeRecipients(k, objectOf(c.body, "recipients")); err != nil {
			return err
		}
	}
	settings := objectOf(c.body, "settings")
	if address := textOf(settings, "reply_to"); address != "" {
		if err := checkEmail("settings.reply_to", address); err != nil {
			return err
		}
	}
	if len(textOf(settings, "subject_line")) > 500 {
		return invalid(FieldError{"settings.subject_line", "This value is too long."})
	}
	k.settings, k.tracking, k.other = maps.Clone(k.settings), maps.Clone(k.tracking), maps.Clone(k.other)
	maps.Copy(k.settings, settings)
	maps.Copy(k.tracking, objectOf(c.body, "tracking"))
	for _, name := range []string{"variate_settings", "rss_opts", "social_card"} {
		if c.has(name) {
			k.other[name] = c.body[name]
		}
	}
	if c.has("content_type") {
		k.contentType = textOf(c.body, "content_type")
	}
	return nil
}

func (c *call) changeRecipients(k *campaign, recipients object) error {
	if id := textOf(recipients, "list_id"); id != "" {
		l := c.account.list(id)
		if l == nil {
			return invalid(FieldError{"recipients.list_id", "The list " + id + " does not exist."})
		}
		if l.id != k.listID {
			k.listID, k.segmentOpts = l.id, nil
			k.settings = maps.Clone(k.settings)
			for setting, of := range map[string]string{"from_name": "from_name", "reply_to": "from_email", "subject_line": "subject"} {
				if text := textOf(l.defaults, of); text != "" && textOf(k.settings, setting) == "" {
					k.settings[setting] = text
				}
			}
		}
	}
	opts := objectOf(recipients, "segment_opts")
	if opts == nil {
		return nil
	}
	l := c.account.list(k.listID)
	if l == nil {
		return invalid(FieldError{"recipients.segment_opts", "A segment needs a list_id."})
	}
	if id := intOf(opts, "saved_segment_id"); id != 0 && !slices.ContainsFunc(l.segments, func(s *segment) bool { return s.id == id }) {
		return invalid(FieldError{"recipients.segment_opts.saved_segment_id", "The segment does not exist."})
	}
	if errs := checkOptions("recipients.segment_opts", opts); errs != nil {
		return invalid(errs...)
	}
	if len(opts) > 0 {
		k.segmentOpts = opts
	}
	return nil
}

func (c *call) deleteCampaign() (object, error) {
	k, err := c.campaign()
	if err != nil {
		return nil, err
	}
	if k.status == "schedule" || k.status == "sending" {
		return nil, badRequest("The campaign cannot be deleted: its status is " + k.status + ".")
	}
	c.campaigns = slices.DeleteFunc(c.campaigns, func(other *campaign) bool { return other == k })
	return nil, nil
}
