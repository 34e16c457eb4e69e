package tools

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/marketing"
)

func (r *registry) addDrafts() {
	add(r, tool{
		name: "create_campaign_draft", title: "Create a campaign draft", effect: adds,
		description: "Makes a draft of a campaign to an audience, or to a segment of it, and returns its campaign_id. Nothing is sent. Sender and reply address are the audience's where they are left out. Next comes set_campaign_content.",
	}, createCampaignDraft)
	add(r, tool{
		name: "update_campaign", title: "Update a campaign draft", effect: replaces,
		description: "Changes settings of a draft, and whom it goes to, unless that is a segment already. What is left out stays. A scheduled campaign has to be unscheduled first.",
	}, updateCampaign)
	add(r, tool{
		name: "delete_campaign_draft", title: "Delete a campaign draft", effect: replaces,
		description: "Deletes a draft (status save), for good. Refuses all other campaigns.",
	}, deleteCampaignDraft)
}

// settings are a campaign's.
type settings struct {
	PreviewText string `json:"preview_text,omitempty" jsonschema:"What inboxes show after the subject line." max:"150"`
	Title       string `json:"title,omitempty" jsonschema:"Its name in Mailchimp, not seen by recipients." max:"100"`
	FromName    string `json:"from_name,omitempty" jsonschema:"Whom it is from, a name." max:"100"`
	ReplyTo     string `json:"reply_to,omitempty" jsonschema:"The address that answers go to, which Mailchimp has verified." max:"254"`
	SegmentID   int    `json:"segment_id,omitempty" jsonschema:"Only to this segment of the audience, or to this tag." min:"1"`
}

// body returns the settings as the API has them.
func (s settings) body(audienceID, subjectLine string) map[string]any {
	body, own := map[string]any{}, map[string]any{}
	setTexts(own, "subject_line", subjectLine, "preview_text", s.PreviewText, "title", s.Title, "from_name", s.FromName, "reply_to", s.ReplyTo)
	if len(own) > 0 {
		body["settings"] = own
	}
	if audienceID != "" {
		recipients := map[string]any{"list_id": audienceID}
		if s.SegmentID != 0 {
			recipients["segment_opts"] = map[string]any{"saved_segment_id": s.SegmentID}
		}
		body["recipients"] = recipients
	}
	return body
}

type createCampaignDraftInput struct {
	audience
	SubjectLine string `json:"subject_line" jsonschema:"The subject line." min:"1" max:"150"`
	Type        string `json:"type,omitempty" jsonschema:"regular has HTML and plain text, plaintext only plain text." enum:"regular,plaintext" default:"regular"`
	settings
}

func createCampaignDraft(ctx context.Context, c *marketing.Client, in createCampaignDraftInput) (answer, error) {
	path, err := marketing.NewPath("campaigns")
	if err != nil {
		return nil, err
	}
	if err := in.fillIn(ctx, c); err != nil {
		return nil, err
	}
	body := in.body(in.AudienceID, in.SubjectLine)
	body["type"] = in.Type
	got, err := c.Do(ctx, marketing.Request{Method: http.MethodPost, Path: path, Body: body})
	if err != nil {
		return nil, err
	}
	return campaignMade(got), nil
}

// fillIn takes from the audience whom a campaign is from, which Mailchimp wants said. It
// is also how a wrong audience is found out.
func (in *createCampaignDraftInput) fillIn(ctx context.Context, c *marketing.Client) error {
	path, err := in.within()
	if err != nil {
		return err
	}
	got, err := c.Get(ctx, path, url.Values{"fields": {"id,campaign_defaults.from_name,campaign_defaults.from_email"}})
	if err != nil {
		return err
	}
	usual, _ := got["campaign_defaults"].(map[string]any)
	if name, _ := usual["from_name"].(string); in.FromName == "" {
		in.FromName = name
	}
	if address, _ := usual["from_email"].(string); in.ReplyTo == "" {
		in.ReplyTo = address
	}
	return nil
}

// campaignMade is what is answered of a campaign that was changed.
func campaignMade(got map[string]any) answer {
	a := some(got, "type", "status", "recipients", "settings")
	a["campaign_id"] = got["id"]
	if whole, ok := got["settings"].(map[string]any); ok {
		a["settings"] = some(whole, "title", "subject_line", "preview_text", "from_name", "reply_to")
	}
	if whole, ok := got["recipients"].(map[string]any); ok {
		a["recipients"] = some(whole, "list_id", "list_name", "segment_text", "recipient_count")
	}
	return a
}

type updateCampaignInput struct {
	campaign
	AudienceID  string `json:"audience_id,omitempty" jsonschema:"Another audience, from list_audiences."`
	SubjectLine string `json:"subject_line,omitempty" jsonschema:"The subject line." max:"150"`
	settings
}

func updateCampaign(ctx context.Context, c *marketing.Client, in updateCampaignInput) (answer, error) {
	path, err := in.own()
	if err != nil {
		return nil, err
	}
	if in.SegmentID != 0 || in.AudienceID != "" {
		if in.AudienceID, err = in.recipients(ctx, c, path); err != nil {
			return nil, err
		}
	}
	body := in.body(in.AudienceID, in.SubjectLine)
	if len(body) == 0 {
		return nil, errors.New("name something to change")
	}
	if body["settings"] == nil {
		if body["settings"], err = keptSettings(ctx, c, path); err != nil {
			return nil, err
		}
	}
	got, err := c.Do(ctx, marketing.Request{Method: http.MethodPatch, Path: path, Body: body})
	if err != nil {
		return nil, in.explainState(ctx, c, err)
	}
	return campaignMade(got), nil
}

// recipients returns the audience of a draft that gets other recipients. One that goes to
// a segment keeps it: Mailchimp has been seen to take another, and to go on counting the
// people of the first.
func (in updateCampaignInput) recipients(ctx context.Context, c *marketing.Client, path marketing.Path) (string, error) {
	got, err := c.Get(ctx, path, url.Values{"fields": {"recipients.list_id,recipients.segment_opts"}})
	if err != nil {
		return "", err
	}
	recipients, _ := got["recipients"].(map[string]any)
	audience, _ := recipients["list_id"].(string)
	segment, _ := recipients["segment_opts"].(map[string]any)
	isSame := (in.AudienceID == "" || in.AudienceID == audience) && number(segment["saved_segment_id"]) == in.SegmentID
	switch {
	case len(segment) > 0 && !isSame:
		return "", errors.New("this draft goes to a segment, and that cannot be changed safely: make a new one with create_campaign_draft, and delete this one")
	case in.AudienceID != "":
		return in.AudienceID, nil
	case audience == "": // the API takes a segment with its audience alone
		return "", errors.New("the campaign has no audience yet: give audience_id, that of the segment")
	}
	return audience, nil
}

// keptSettings are settings that change nothing: the API's reference wants some in every
// change of a campaign.
func keptSettings(ctx context.Context, c *marketing.Client, path marketing.Path) (map[string]any, error) {
	got, err := c.Get(ctx, path, url.Values{"fields": {"settings.title,settings.subject_line"}})
	if err != nil {
		return nil, err
	}
	if kept, _ := got["settings"].(map[string]any); kept != nil {
		return kept, nil
	}
	return map[string]any{}, nil
}

type deleteCampaignDraftInput struct{ campaign }

func deleteCampaignDraft(ctx context.Context, c *marketing.Client, in deleteCampaignDraftInput) (answer, error) {
	path, err := in.own()
	if err != nil {
		return nil, err
	}
	// The API would delete a sent campaign as well, and its report with it.
	status, err := in.status(ctx, c)
	if err != nil {
		return nil, err
	}
	if status != "save" {
		return nil, fmt.Errorf("the campaign has the status %q and is no draft: it stays (unschedule_campaign makes a draft of a scheduled one)", status)
	}
	if _, err := c.Do(ctx, marketing.Request{Method: http.MethodDelete, Path: path}); err != nil {
		return nil, err
	}
	return answer{"campaign_id": in.CampaignID, "deleted": true}, nil
}
