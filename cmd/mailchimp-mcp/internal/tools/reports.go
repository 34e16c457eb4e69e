package tools

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/marketing"
)

func (r *registry) addReports() {
	add(r, tool{
		name: "list_reports", title: "List reports",
		fields:      "abuse_reports, ecommerce, opens.proxy_excluded_open_rate",
		description: "Lists how sent campaigns did: sent, opened, clicked, unsubscribed, bounced. Mailchimp does not say in which order: take those of a time with sent_since.",
	}, listReports)
	add(r, tool{
		name: "get_report", title: "Get a report",
		fields:      "forwards, ecommerce, timeseries",
		description: "Returns how one sent campaign did, with more numbers than list_reports, and the averages of the industry (industry_stats) and of the audience (list_stats).",
	}, getReport)
	add(r, tool{
		name: "get_report_details", title: "Get a report's details",
		fields:      "merge_fields, vip",
		description: "Returns one part of a campaign's report, as a list: which links were clicked, who clicked one (give link_id), who opened it, who unsubscribed and why, and so on.",
	}, getReportDetails)
}

type listReportsInput struct {
	SentSince  string `json:"sent_since,omitempty" jsonschema:"Only campaigns sent since then, such as 2026-07-01 or 2026-07-01T09:30:00Z."`
	SentBefore string `json:"sent_before,omitempty" jsonschema:"Only campaigns sent before then."`
	paging
	choice
}

func listReports(ctx context.Context, c *marketing.Client, in listReportsInput) (answer, error) {
	path, err := marketing.NewPath("reports")
	if err != nil {
		return nil, err
	}
	query := url.Values{}
	err = errors.Join(
		setInstant(query, "since_send_time", "sent_since", in.SentSince),
		setInstant(query, "before_send_time", "sent_before", in.SentBefore))
	if err != nil {
		return nil, err
	}
	return list{path: path, query: query, page: in.paging, pick: selection{
		container: "reports", id: []string{"id", "campaign_title"},
		usual: []string{"subject_line", "list_name", "send_time", "emails_sent", "opens.unique_opens", "opens.open_rate", "clicks.unique_subscriber_clicks", "clicks.click_rate",
			"unsubscribed", "bounces.hard_bounces", "bounces.soft_bounces"},
	}}.get(ctx, c, in.Fields)
}

type getReportInput struct {
	campaign
	choice
}

func getReport(ctx context.Context, c *marketing.Client, in getReportInput) (answer, error) {
	path, err := marketing.NewPath("reports", in.CampaignID)
	if err != nil {
		return nil, err
	}
	got, err := selection{
		id: []string{"id", "campaign_title"},
		usual: []string{"subject_line", "list_id", "list_name", "send_time", "emails_sent", "abuse_reports", "unsubscribed", "bounces", "opens.opens_total", "opens.unique_opens", "opens.open_rate", "opens.proxy_excluded_open_rate", "opens.last_open",
			"clicks.clicks_total", "clicks.unique_subscriber_clicks", "clicks.click_rate", "clicks.last_click", "industry_stats.open_rate", "industry_stats.click_rate", "list_stats.open_rate", "list_stats.click_rate"},
	}.one(ctx, c, path, in.Fields)
	if err != nil {
		return nil, err
	}
	fractions(map[string]any(got))
	return got, nil
}

// detail is one part of a report, as the API has it.
type detail struct {
	path    string
	pick    selection
	isWhole bool
}

// detailOf returns a part of reports by its name.
func detailOf(name string) (detail, error) {
	switch name {
	case "clicks":
		return detail{path: "click-details", pick: selection{container: "urls_clicked", id: []string{"id", "url"}, usual: []string{"total_clicks", "unique_clicks", "last_click"}}}, nil
	case "opens":
		return detail{path: "open-details", pick: selection{container: "members", id: []string{"email_address"}, usual: []string{"opens_count", "contact_status"}}}, nil
	case "unsubscribes":
		return detail{path: "unsubscribed", pick: selection{container: "unsubscribes", id: []string{"email_address"}, usual: []string{"timestamp", "reason"}}}, nil
	case "recipients":
		return detail{path: "sent-to", pick: selection{container: "sent_to", id: []string{"email_address"}, usual: []string{"status", "open_count", "last_open"}}}, nil
	case "email_activity":
		return detail{path: "email-activity", pick: selection{container: "emails", id: []string{"email_address"}, usual: []string{"activity.action", "activity.timestamp", "activity.url"}}}, nil
	case "domains":
		return detail{isWhole: true, path: "domain-performance", pick: selection{container: "domains", id: []string{"domain"}, usual: []string{"emails_sent", "bounces", "opens", "clicks", "unsubs", "delivered"}}}, nil
	case "locations":
		return detail{path: "locations", pick: selection{container: "locations", id: []string{"country_code", "region"}, usual: []string{"region_name", "opens"}}}, nil
	case "abuse_reports":
		return detail{isWhole: true, path: "abuse-reports", pick: selection{container: "abuse_reports", id: []string{"email_address"}, usual: []string{"date"}}}, nil
	}
	return detail{}, fmt.Errorf("detail: there is no %q", name)
}

type getReportDetailsInput struct {
	campaign
	Detail string `json:"detail" jsonschema:"clicks is by link; opens, unsubscribes, recipients and email_activity are by person, domains is by e-mail provider, locations by region." enum:"clicks,opens,unsubscribes,recipients,email_activity,domains,locations,abuse_reports"`
	LinkID string `json:"link_id,omitempty" jsonschema:"With clicks: the id of a link there, for who clicked it."`
	paging
	choice
}

func getReportDetails(ctx context.Context, c *marketing.Client, in getReportDetailsInput) (answer, error) {
	part, err := detailOf(in.Detail)
	if err != nil {
		return nil, err
	}
	parts := []string{"reports", in.CampaignID, part.path}
	if in.LinkID != "" {
		if in.Detail != "clicks" {
			return nil, errors.New("link_id: it goes with the detail clicks only")
		}
		parts = append(parts, in.LinkID, "members")
		part.pick = selection{container: "members", id: []string{"email_address"}, usual: []string{"clicks", "contact_status"}}
	}
	path, err := marketing.NewPath(parts...)
	if err != nil {
		return nil, err
	}
	return list{path: path, page: in.paging, pick: part.pick, isWhole: part.isWhole}.get(ctx, c, in.Fields)
}
