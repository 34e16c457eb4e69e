package tools

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"unicode/utf8"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/marketing"
)

func (r *registry) addContent() {
	add(r, tool{
		name: "get_campaign_content", title: "Get a campaign's content",
		description: "Returns the text of a campaign, as plain text or HTML. Long content is cut: next_start says where to go on.",
	}, getCampaignContent)
	add(r, tool{
		name: "set_campaign_content", title: "Set a campaign's content", effect: replaces,
		description: "Replaces the whole content of a draft by HTML, from which Mailchimp makes plain text, by plain text, or by both. Merge tags such as *|FNAME|* are filled in when it is sent. The footer needs a link to *|UNSUB|*.",
	}, setCampaignContent)
}

type getCampaignContentInput struct {
	campaign
	Format        string `json:"format,omitempty" jsonschema:"plain_text is to read; html is to edit, and long." enum:"plain_text,html" default:"plain_text"`
	Start         int    `json:"start,omitempty" jsonschema:"The next_start of the call before." min:"0"`
	MaxCharacters int    `json:"max_characters,omitempty" jsonschema:"How many characters to return." min:"100" max:"30000" default:"10000"`
}

func getCampaignContent(ctx context.Context, c *marketing.Client, in getCampaignContentInput) (answer, error) {
	path, err := in.own("content")
	if err != nil {
		return nil, err
	}
	got, err := c.Get(ctx, path, url.Values{"fields": {in.Format}})
	if err != nil {
		return nil, err
	}
	whole, _ := got[in.Format].(string)
	total := utf8.RuneCountInString(whole)
	from := min(in.Start, total)
	to := min(from+in.MaxCharacters, total)
	a := answer{"campaign_id": in.CampaignID, in.Format: content([]rune(whole)[from:to]), "total_characters": total, "is_cut": to < total}
	if to < total {
		a["next_start"] = to
	}
	return a, nil
}

type setCampaignContentInput struct {
	campaign
	HTML      string `json:"html,omitempty" jsonschema:"The whole e-mail in HTML, styles inline." max:"500000"`
	PlainText string `json:"plain_text,omitempty" jsonschema:"The whole e-mail in plain text." max:"500000"`
}

func setCampaignContent(ctx context.Context, c *marketing.Client, in setCampaignContentInput) (answer, error) {
	path, err := in.own("content")
	if err != nil {
		return nil, err
	}
	body := map[string]any{}
	setTexts(body, "html", in.HTML, "plain_text", in.PlainText)
	if len(body) == 0 {
		return nil, errors.New("give html, plain_text, or both")
	}
	got, err := c.Do(ctx, marketing.Request{Method: http.MethodPut, Path: path, Body: body})
	if err != nil {
		return nil, in.explainState(ctx, c, err)
	}
	html, _ := got["html"].(string)
	text, _ := got["plain_text"].(string)
	return answer{"campaign_id": in.CampaignID, "html_characters": utf8.RuneCountInString(html), "plain_text_characters": utf8.RuneCountInString(text)}, nil
}
