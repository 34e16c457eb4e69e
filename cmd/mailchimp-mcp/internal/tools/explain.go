package tools

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/marketing"
)

// explained is what a model is told of an error, in place of the error's own words.
type explained struct {
	text  string
	cause error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.cause }

// explain says of what Mailchimp has not found where to look. Mailchimp's own words for
// that are always the same, and are left out.
func explain(err error) error {
	if _, done := errors.AsType[*explained](err); done {
		return err
	}
	e, ok := errors.AsType[*marketing.Error](err)
	if !ok || !e.IsMissing() {
		return err
	}
	if hint := whereToLook(e.Path.Parts()); hint != "" {
		return &explained{text: "Mailchimp answered 404: " + hint, cause: err}
	}
	return err
}

// whereToLook names the tools that list what a path is made of.
func whereToLook(parts []string) string {
	if len(parts) < 2 {
		return ""
	}
	id := parts[1]
	switch {
	case parts[0] == "campaigns":
		return fmt.Sprintf("there is no campaign %q; list_campaigns and search_campaigns have the IDs", id)
	case parts[0] == "reports" && len(parts) > 3:
		return fmt.Sprintf("there is no report of a campaign %q, or no link %q in it; get_report_details with the detail clicks, and without link_id, has the links", id, parts[3])
	case parts[0] == "reports":
		return fmt.Sprintf("there is no report of a campaign %q: no such campaign, or not sent yet; list_reports has those with a report", id)
	case parts[0] != "lists":
		return ""
	case len(parts) > 3 && parts[2] == "members":
		return fmt.Sprintf("nobody with this e-mail address is in audience %q, or there is no such audience; search_members looks in all audiences", id)
	case len(parts) > 3 && parts[2] == "segments":
		return fmt.Sprintf("there is no segment %s in audience %q, or no such audience; list_segments has the segments, list_audiences the audiences", parts[3], id)
	}
	return fmt.Sprintf("there is no audience %q; list_audiences has the IDs", id)
}

// explainState says of a change that Mailchimp refuses where the reason is that the
// campaign is no draft: Mailchimp's own words do not say what to do about it.
func (c campaign) explainState(ctx context.Context, client *marketing.Client, err error) error {
	e, ok := errors.AsType[*marketing.Error](err)
	if !ok || e.Status != http.StatusBadRequest {
		return err
	}
	status, lookErr := c.status(ctx, client)
	if lookErr != nil || status == "save" {
		return err
	}
	advice := "and stays as it is"
	if status == "schedule" || status == "paused" {
		advice = "call unschedule_campaign first"
	}
	return &explained{text: fmt.Sprintf("Mailchimp answered 400 (%s): the campaign has the status %q, %s", cmp.Or(e.Detail, e.Title, "Bad Request"), status, advice), cause: err}
}

// explainName says of a segment whose name is taken that it can be filled.
func explainName(err error) error {
	e, ok := errors.AsType[*marketing.Error](err)
	if !ok || e.Status != http.StatusBadRequest || !strings.Contains(e.Detail, "already exists") {
		return err
	}
	return &explained{text: fmt.Sprintf("Mailchimp answered 400 (%s): take another name, or list_segments for its id and update_segment_members to fill it", e.Detail), cause: err}
}

// status asks for the campaign's.
func (c campaign) status(ctx context.Context, client *marketing.Client) (string, error) {
	path, err := c.own()
	if err != nil {
		return "", err
	}
	got, err := client.Get(ctx, path, url.Values{"fields": {"id,status"}})
	if err != nil {
		return "", err
	}
	status, _ := got["status"].(string)
	return status, nil
}
