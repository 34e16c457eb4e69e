package tools

import (
	"context"
	"net/url"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/marketing"
)

func (r *registry) addAudiences() {
	add(r, tool{
		name: "list_audiences", title: "List audiences",
		fields:      "stats.last_sub_date, double_optin",
		description: "Lists the account's audiences (lists in Mailchimp's API) with their IDs, which other tools take as audience_id, numbers of members, and average rates of campaigns.",
	}, listAudiences)
	add(r, tool{
		name: "get_audience", title: "Get an audience",
		fields:      "contact, stats.avg_sub_rate",
		description: "Returns one audience with its settings and statistics: members, unsubscribes, average open and click rates of campaigns, the last campaign.",
	}, getAudience)
	add(r, tool{
		name: "list_audience_growth", title: "List an audience's growth",
		description: "Lists how many members an audience had at the end of each month, the last month first.",
	}, listAudienceGrowth)
	add(r, tool{
		name: "list_merge_fields", title: "List merge fields",
		description: "Lists the fields that members of an audience have, such as FNAME. Their tags are the keys of merge_fields in other tools.",
	}, listMergeFields)
}

type listAudiencesInput struct {
	paging
	choice
}

func listAudiences(ctx context.Context, c *marketing.Client, in listAudiencesInput) (answer, error) {
	path, err := marketing.NewPath("lists")
	if err != nil {
		return nil, err
	}
	page, err := list{path: path, page: in.paging, as: "audiences", pick: selection{
		container: "lists", id: []string{"id", "name"},
		usual: []string{"date_created", "stats.member_count", "stats.unsubscribe_count", "stats.open_rate", "stats.click_rate"},
	}}.get(ctx, c, in.Fields)
	if err != nil {
		return nil, err
	}
	audiences, _ := page["audiences"].([]any)
	fractions(audiences...)
	return page, nil
}

// audience is what all tools take that work in one.
type audience struct {
	AudienceID string `json:"audience_id" jsonschema:"From list_audiences."`
}

// within returns a path in the audience.
func (a audience) within(parts ...string) (marketing.Path, error) {
	return marketing.NewPath(append([]string{"lists", a.AudienceID}, parts...)...)
}

type getAudienceInput struct {
	audience
	choice
}

func getAudience(ctx context.Context, c *marketing.Client, in getAudienceInput) (answer, error) {
	path, err := in.within()
	if err != nil {
		return nil, err
	}
	got, err := selection{
		id: []string{"id", "name"},
		usual: []string{"date_created", "campaign_defaults", "permission_reminder", "double_optin", "list_rating", "stats.member_count", "stats.unsubscribe_count",
			"stats.cleaned_count", "stats.campaign_count", "stats.campaign_last_sent", "stats.open_rate", "stats.click_rate", "stats.last_sub_date"},
	}.one(ctx, c, path, in.Fields)
	if err != nil {
		return nil, err
	}
	fractions(map[string]any(got))
	return got, nil
}

type listAudienceGrowthInput struct {
	audience
	paging
}

func listAudienceGrowth(ctx context.Context, c *marketing.Client, in listAudienceGrowthInput) (answer, error) {
	path, err := in.within("growth-history")
	if err != nil {
		return nil, err
	}
	newestFirst := url.Values{"sort_field": {"month"}, "sort_dir": {"DESC"}}
	return list{path: path, query: newestFirst, page: in.paging, as: "months", pick: selection{
		container: "history", id: []string{"month"}, usual: []string{"subscribed", "unsubscribed", "cleaned", "pending"},
	}}.get(ctx, c, nil)
}

type listMergeFieldsInput struct {
	audience
	paging
}

func listMergeFields(ctx context.Context, c *marketing.Client, in listMergeFieldsInput) (answer, error) {
	path, err := in.within("merge-fields")
	if err != nil {
		return nil, err
	}
	return list{path: path, page: in.paging, pick: selection{
		container: "merge_fields", id: []string{"tag", "name"},
		usual: []string{"type", "required", "default_value", "options.choices"},
	}}.get(ctx, c, nil)
}
