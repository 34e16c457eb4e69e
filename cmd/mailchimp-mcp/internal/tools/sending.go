package tools

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/marketing"
)

func (r *registry) addSending() {
	add(r, tool{
		name: "get_send_checklist", title: "Get a campaign's checklist",
		description: "Returns whether a draft can be sent (is_ready), and what is missing (error) or worth a look (warning). What is as it should be is left out.",
	}, getSendChecklist)
	add(r, tool{
		name: "send_test_email", title: "Send a test e-mail", effect: sends,
		description: "Sends a draft as a test to a few addresses, at once: nothing takes it back. The audience gets nothing. Have the person agree to the addresses first, and take none from what Mailchimp returns.",
	}, sendTestEmail)
	add(r, tool{
		name: "schedule_campaign", title: "Schedule a campaign", effect: replaces,
		description: "Has Mailchimp send a draft to its whole audience or segment at a time, which needs a paid plan. Until then, unschedule_campaign takes it back; afterwards nothing does. " +
			"To move a scheduled one, unschedule it first. Look at get_send_checklist, and have the person agree to recipients and time.",
	}, scheduling(r.now))
	add(r, tool{
		name: "unschedule_campaign", title: "Unschedule a campaign", effect: replaces,
		description: "Makes a scheduled campaign a draft again.",
	}, unscheduleCampaign)
}

type getSendChecklistInput struct{ campaign }

func getSendChecklist(ctx context.Context, c *marketing.Client, in getSendChecklistInput) (answer, error) {
	path, err := in.own("send-checklist")
	if err != nil {
		return nil, err
	}
	got, err := c.Get(ctx, path, nil)
	if err != nil {
		return nil, err
	}
	open := []any{}
	items, _ := got["items"].([]any)
	for _, item := range items {
		item, _ := item.(map[string]any)
		if item != nil && item["type"] != "success" {
			open = append(open, map[string]any(some(item, "type", "heading", "details")))
		}
	}
	return answer{"is_ready": got["is_ready"], "items": open}, nil
}

type sendTestEmailInput struct {
	campaign
	EmailAddresses []string `json:"email_addresses" jsonschema:"Who gets the test." min:"1" max:"10"`
	Format         string   `json:"format,omitempty" jsonschema:"Which form of it." enum:"html,plaintext" default:"html"`
}

func sendTestEmail(ctx context.Context, c *marketing.Client, in sendTestEmailInput) (answer, error) {
	path, err := in.own("actions", "test")
	if err != nil {
		return nil, err
	}
	for _, address := range in.EmailAddresses {
		if _, err := marketing.SubscriberHash(address); err != nil {
			return nil, err
		}
	}
	body := map[string]any{"test_emails": in.EmailAddresses, "send_type": in.Format}
	if _, err := c.Do(ctx, marketing.Request{Method: http.MethodPost, Path: path, Body: body}); err != nil {
		return nil, err
	}
	return answer{"campaign_id": in.CampaignID, "sent_to": texts(in.EmailAddresses)}, nil
}

const (
	// step is how exact a schedule can be.
	step = 15 * time.Minute
	// notice is how long a schedule can be taken back, at least: a campaign that is
	// scheduled for the next minute is one that is sent at once.
	notice = 10 * time.Minute
)

type scheduleCampaignInput struct {
	campaign
	ScheduleTime string `json:"schedule_time" jsonschema:"When to send, with a zone, 10 minutes from now at least, at a full quarter of an hour, such as 2026-07-01T11:30:00+02:00."`
}

func scheduling(now func() time.Time) handler[scheduleCampaignInput] {
	return func(ctx context.Context, c *marketing.Client, in scheduleCampaignInput) (answer, error) {
		at, err := sendTime(in.ScheduleTime, now().UTC())
		if err != nil {
			return nil, err
		}
		return scheduleCampaign(ctx, c, in.campaign, at)
	}
}

// sendTime reads a time that a campaign can be scheduled for.
func sendTime(text string, now time.Time) (time.Time, error) {
	at, err := instant("schedule_time", text)
	if err != nil {
		return time.Time{}, err
	}
	if !at.Equal(at.Truncate(step)) {
		return time.Time{}, errors.New("schedule_time: Mailchimp sends at full quarters of an hour only: write :00, :15, :30 or :45")
	}
	soonest := now.Add(notice)
	if at.Before(soonest) {
		next := soonest.Add(step - 1).Truncate(step)
		return time.Time{}, fmt.Errorf("schedule_time: it is %s now, and there have to be 10 minutes left in which the schedule can be taken back: %s is the next time that there is", now.Format(time.RFC3339), next.Format(time.RFC3339))
	}
	return at, nil
}

func scheduleCampaign(ctx context.Context, c *marketing.Client, of campaign, at time.Time) (answer, error) {
	path, err := of.own("actions", "schedule")
	if err != nil {
		return nil, err
	}
	body := map[string]any{"schedule_time": at.Format(isoTime)}
	if _, err := c.Do(ctx, marketing.Request{Method: http.MethodPost, Path: path, Body: body}); err != nil {
		return nil, of.explainState(ctx, c, err)
	}
	return answer{"campaign_id": of.CampaignID, "status": "schedule", "schedule_time": at.Format(time.RFC3339)}, nil
}

type unscheduleCampaignInput struct{ campaign }

func unscheduleCampaign(ctx context.Context, c *marketing.Client, in unscheduleCampaignInput) (answer, error) {
	path, err := in.own("actions", "unschedule")
	if err != nil {
		return nil, err
	}
	if _, err := c.Do(ctx, marketing.Request{Method: http.MethodPost, Path: path}); err != nil {
		return nil, err
	}
	return answer{"campaign_id": in.CampaignID, "status": "save"}, nil
}
