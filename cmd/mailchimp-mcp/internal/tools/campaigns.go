package tools

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/marketing"
)

func (r *registry) addCampaigns() {
	add(r, tool{
		name: "list_campaigns", title: "List campaigns",
		fields:      "web_id, settings.from_name, report_summary",
		description: "Lists campaigns with their IDs, and open and click rates of sent ones. The newest are first: for the last sent ones, give status sent and sort_by send_time.",
	}, listCampaigns)
	add(r, tool{
		name: "search_campaigns", title: "Search campaigns",
		description: "Finds campaigns by words of their title, subject line or content. For those of a time, use list_campaigns.",
	}, searchCampaigns)
	add(r, tool{
		name: "get_campaign", title: "Get a campaign",
		fields:      "web_id, recipients, tracking",
		description: "Returns one campaign: status, whom it goes to, subject line and other settings, and in short how it did. Its text is in get_campaign_content.",
	}, getCampaign)
}

type listCampaignsInput struct {
	Status     string `json:"status,omitempty" jsonschema:"save is a draft, schedule is scheduled. Left out: all." enum:"save,paused,schedule,sending,sent"`
	AudienceID string `json:"audience_id,omitempty" jsonschema:"Only campaigns to this audience."`
	SentSince  string `json:"sent_since,omitempty" jsonschema:"Only campaigns sent since then, such as 2026-07-01 (from midnight UTC) or 2026-07-01T09:30:00Z."`
	SentBefore string `json:"sent_before,omitempty" jsonschema:"Only campaigns sent before then."`
	SortBy     string `json:"sort_by,omitempty" jsonschema:"What to sort by." enum:"create_time,send_time" default:"create_time"`
	Order      string `json:"order,omitempty" jsonschema:"desc has the newest first." enum:"asc,desc" default:"desc"`
	paging
	choice
}

func listCampaigns(ctx context.Context, c *marketing.Client, in listCampaignsInput) (answer, error) {
	path, err := marketing.NewPath("campaigns")
	if err != nil {
		return nil, err
	}
	query := url.Values{"sort_field": {in.SortBy}, "sort_dir": {strings.ToUpper(in.Order)}}
	if in.Status != "" {
		query.Set("status", in.Status)
	}
	if in.AudienceID != "" {
		query.Set("list_id", in.AudienceID)
	}
	err = errors.Join(
		setInstant(query, "since_send_time", "sent_since", in.SentSince),
		setInstant(query, "before_send_time", "sent_before", in.SentBefore))
	if err != nil {
		return nil, err
	}
	pick := campaignFields("campaigns")
	pick.usual = append(pick.usual, "report_summary.open_rate", "report_summary.click_rate")
	return list{path: path, query: query, page: in.paging, pick: pick}.get(ctx, c, in.Fields)
}

// campaignFields are what lists of campaigns have.
func campaignFields(container string) selection {
	return selection{
		container: container, id: []string{"id"},
		usual: []string{"type", "status", "create_time", "send_time", "emails_sent", "settings.title", "settings.subject_line", "recipients.list_id", "recipients.list_name"},
	}
}

type searchCampaignsInput struct {
	Query string `json:"query" jsonschema:"Words to look for." min:"1" max:"200"`
	paging
}

func searchCampaigns(ctx context.Context, c *marketing.Client, in searchCampaignsInput) (answer, error) {
	path, err := marketing.NewPath("search-campaigns")
	if err != nil {
		return nil, err
	}
	fields := []string{"total_items", "results.snippet"}
	of := campaignFields("results.campaign")
	for _, field := range append(of.id, of.usual...) {
		fields = append(fields, of.container+"."+field)
	}
	got, err := c.Get(ctx, path, url.Values{"query": {in.Query}, "fields": {strings.Join(fields, ",")}})
	if err != nil {
		return nil, err
	}
	campaigns := []any{}
	results, _ := got["results"].([]any)
	for _, result := range results {
		result, _ := result.(map[string]any)
		campaign, _ := result["campaign"].(map[string]any)
		if campaign == nil {
			continue
		}
		if snippet, _ := result["snippet"].(string); snippet != "" {
			campaign["snippet"] = snippet
		}
		campaigns = append(campaigns, campaign)
	}
	return in.cutOut("campaigns", campaigns), nil
}

// campaign is what all tools take that work on one.
type campaign struct {
	CampaignID string `json:"campaign_id" jsonschema:"From list_campaigns."`
}

func (c campaign) own(parts ...string) (marketing.Path, error) {
	return marketing.NewPath(append([]string{"campaigns", c.CampaignID}, parts...)...)
}

type getCampaignInput struct {
	campaign
	choice
}

func getCampaign(ctx context.Context, c *marketing.Client, in getCampaignInput) (answer, error) {
	path, err := in.own()
	if err != nil {
		return nil, err
	}
	return selection{
		id: []string{"id"},
		usual: []string{"type", "status", "create_time", "send_time", "emails_sent", "content_type", "archive_url",
			"recipients.list_id", "recipients.list_name", "recipients.segment_text", "recipients.recipient_count",
			"settings.title", "settings.subject_line", "settings.preview_text", "settings.from_name", "settings.reply_to",
			"report_summary.opens", "report_summary.unique_opens", "report_summary.open_rate", "report_summary.clicks", "report_summary.subscriber_clicks", "report_summary.click_rate"},
	}.one(ctx, c, path, in.Fields)
}
