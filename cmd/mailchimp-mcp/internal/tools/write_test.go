package tools_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/tools"
	"github.com/tokenvault/tokenvault/vault/sandbox"
)

func TestAMemberIsAddedChangedTaggedAndArchived(t *testing.T) {
	r := writing(t)
	id := r.audience()
	urist := args{"audience_id": id, "email_address": "Urist.McVankab@example.com"}
	with := func(more args) args {
		a := args{}
		for _, from := range []args{urist, more} {
			for name, value := range from {
				a[name] = value
			}
		}
		return a
	}
	r.fails("add_or_update_member", with(args{"merge_fields": args{"FNAME": "Urist"}}), "404", "set status_if_new")
	got := r.call("add_or_update_member", with(args{"status_if_new": "pending", "merge_fields": args{"FNAME": "Urist", "LNAME": "McVankab"}, "vip": true}))
	if got["status"] != "pending" || got["full_name"] != "Urist McVankab" || got["vip"] != true {
		t.Errorf("got %v, want a pending VIP of this name", got)
	}
	vips := args{"audience_id": id, "vip_only": true, "status": "pending"}
	if got := r.call("list_members", vips); got["total_items"] != 1.0 || at(t, got, "members.0.email_address") != urist["email_address"] {
		t.Errorf("got the VIPs %v, want Urist alone", got)
	}
	got = r.call("add_or_update_member", with(args{"status": "subscribed", "status_if_new": "unsubscribed", "vip": false}))
	if got["status"] != "subscribed" || got["full_name"] != "Urist McVankab" || got["vip"] != false {
		t.Errorf("got %v, want a subscribed member of the same name, and no VIP", got)
	}
	r.call("update_member_tags", with(args{"add": []string{"Customer", "Miner"}}))
	r.call("update_member_tags", with(args{"remove": []string{"Customer"}}))
	if got := r.call("list_member_tags", urist); got["total_items"] != 1.0 || at(t, got, "tags.0.name") != "Miner" {
		t.Errorf("got the tags %v, want Miner", got)
	}
	if got := r.call("list_tags", args{"audience_id": id, "name": "Miner"}); got["total_items"] != 1.0 {
		t.Errorf("got the tags %v, want Miner", got)
	}
	if got := r.call("archive_member", urist); got["status"] != "archived" {
		t.Errorf("got %v, want an archived member", got)
	}
	if got := r.call("add_or_update_member", with(args{"status_if_new": "subscribed"})); got["status"] != "archived" || !strings.Contains(text(t, got, "note"), "status archived") {
		t.Errorf("got %v, want a member who is still archived, and word of it", got)
	}
	if got := r.call("add_or_update_member", with(args{"status_if_new": "subscribed", "status": "subscribed"})); got["status"] != "subscribed" || got["note"] != nil {
		t.Errorf("got %v, want a member who is back", got)
	}
}

func TestSegmentsAreMadeAndFilled(t *testing.T) {
	r := writing(t)
	id := r.audience()
	somebody := r.someMember(id)
	static := r.call("create_segment", args{"audience_id": id, "name": "Miners", "email_addresses": []string{}})
	of := args{"audience_id": id, "segment_id": static["id"]}
	got := r.call("update_segment_members", args{"audience_id": id, "segment_id": static["id"], "add": []string{somebody, "nobody@example.com"}})
	if got["total_added"] != 1.0 || got["error_count"] != 1.0 {
		t.Errorf("got %v, want one added and one error", got)
	}
	if got := r.call("list_segment_members", of); at(t, got, "members.0.email_address") != somebody || got["total_items"] != 1.0 {
		t.Errorf("got %v, want %s", got, somebody)
	}
	r.call("update_segment_members", args{"audience_id": id, "segment_id": static["id"], "remove": []string{somebody}})
	if got := r.call("list_segment_members", of); got["total_items"] != 0.0 {
		t.Errorf("got %v, want nobody", got)
	}
	saved := r.call("create_segment", args{"audience_id": id, "name": "Adas", "conditions": []args{{"condition_type": "TextMerge", "field": "FNAME", "op": "is", "value": "Ada"}}})
	if n, _ := saved["member_count"].(float64); n < 1 {
		t.Errorf("got %v, want some members", saved)
	}
	some := r.call("create_segment", args{"audience_id": id, "name": "Some", "email_addresses": []string{somebody, "nobody@example.com"}})
	if note, _ := some["note"].(string); some["member_count"] != 1.0 || !strings.Contains(note, "1 of the 2") {
		t.Errorf("got %v, want one member, and word of the other", some)
	}
	r.fails("create_segment", args{"audience_id": id, "name": "Some", "email_addresses": []string{somebody}}, "400", "update_segment_members")
	r.fails("create_segment", args{"audience_id": id, "name": "Both", "email_addresses": []string{}, "conditions": []args{{"field": "x"}}}, "either")
	r.fails("create_segment", args{"audience_id": id, "name": "Neither"}, "either")
	r.fails("update_segment_members", of, "to add or to remove")
}

func TestACampaignGoesFromDraftToSchedule(t *testing.T) {
	r := writing(t)
	id := r.audience()
	made := r.call("create_campaign_draft", args{"audience_id": id, "subject_line": "Strike the earth", "title": "July"})
	if at(t, made, "status") != "save" || text(t, made, "settings.reply_to") == "" || text(t, made, "settings.from_name") == "" {
		t.Errorf("got %v, want a draft from whom the audience says", made)
	}
	of := args{"campaign_id": made["campaign_id"]}
	if got := r.call("get_send_checklist", of); got["is_ready"] != false {
		t.Errorf("got %v, want a draft that is not ready", got)
	}
	r.call("set_campaign_content", args{"campaign_id": made["campaign_id"], "html": `<p>Hello <a href="*|UNSUB|*">out</a></p>`})
	changed := r.call("update_campaign", args{"campaign_id": made["campaign_id"], "subject_line": "Losing is fun", "preview_text": "Or not"})
	want := map[string]any{"title": "July", "subject_line": "Losing is fun", "preview_text": "Or not", "from_name": at(t, made, "settings.from_name"), "reply_to": at(t, made, "settings.reply_to")}
	if diff := cmp.Diff(want, changed["settings"]); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	r.call("send_test_email", args{"campaign_id": made["campaign_id"], "email_addresses": []string{"urist@example.com"}})
	if diff := cmp.Diff(map[string]any{"is_ready": true, "items": []any{}}, r.call("get_send_checklist", of)); diff != "" {
		t.Errorf("the checklist of a draft that is ready (-want +got):\n%s", diff)
	}
	got := r.call("schedule_campaign", args{"campaign_id": made["campaign_id"], "schedule_time": "2026-07-02T11:30:00+02:00"})
	if got["schedule_time"] != "2026-07-02T09:30:00Z" {
		t.Errorf("got %v, want the time in UTC", got)
	}
	if got := r.call("get_campaign", of); got["status"] != "schedule" {
		t.Errorf("got %v, want a scheduled campaign", got)
	}
	r.fails("delete_campaign_draft", of, "is no draft")
	r.call("unschedule_campaign", of)
	r.call("delete_campaign_draft", of)
	r.fails("get_campaign", of, "404", "list_campaigns")
}

func TestADraftGoesToASegment(t *testing.T) {
	r := writing(t)
	id := r.audience()
	segment := at(t, r.call("list_segments", args{"audience_id": id, "type": "saved"}), "segments.0.id")
	made := r.call("create_campaign_draft", args{"audience_id": id, "subject_line": "x", "segment_id": segment})
	got := r.call("get_campaign", args{"campaign_id": made["campaign_id"], "fields": []string{"recipients.segment_opts.saved_segment_id"}})
	if at(t, got, "recipients.segment_opts.saved_segment_id") != segment {
		t.Errorf("got %v, want the segment %v", got, segment)
	}
	other := at(t, r.call("list_audiences", nil), "audiences.1.id")
	for _, change := range []args{{"audience_id": other}, {"audience_id": id}, {"segment_id": 4711}} {
		change["campaign_id"] = made["campaign_id"]
		r.fails("update_campaign", change, "cannot be changed safely", "create_campaign_draft")
	}
	r.call("update_campaign", args{"campaign_id": made["campaign_id"], "segment_id": segment, "subject_line": "y"})
	r.fails("update_campaign", args{"campaign_id": made["campaign_id"]}, "something to change")
}

// TestADraftToEverybodyGetsOtherRecipients, and then keeps them.
func TestADraftToEverybodyGetsOtherRecipients(t *testing.T) {
	r := writing(t)
	made := r.call("create_campaign_draft", args{"audience_id": r.audience(), "subject_line": "x"})
	other := at(t, r.call("list_audiences", nil), "audiences.1.id")
	moved := r.call("update_campaign", args{"campaign_id": made["campaign_id"], "audience_id": other})
	if at(t, moved, "recipients.list_id") != other || at(t, moved, "settings.subject_line") != "x" {
		t.Errorf("got %v, want the same draft to %v", moved, other)
	}
	friends := r.call("create_segment", args{"audience_id": other, "name": "All", "email_addresses": []string{}})
	narrowed := r.call("update_campaign", args{"campaign_id": made["campaign_id"], "segment_id": friends["id"]})
	if at(t, narrowed, "recipients.list_id") != other || at(t, narrowed, "recipients.recipient_count") != 0.0 {
		t.Errorf("got %v, want the same audience, and nobody of it", narrowed)
	}
}

func TestWhatWasSentIsNotDeleted(t *testing.T) {
	r := writing(t)
	id := r.campaign("sent")
	r.fails("delete_campaign_draft", args{"campaign_id": id}, `"sent"`, "it stays")
	if got := r.call("get_campaign", args{"campaign_id": id}); got["status"] != "sent" {
		t.Errorf("got %v, want the campaign as it was", got)
	}
}

// TestNothingIsSentAtOnce: a schedule for the next minute would be a way to, and the
// person could not take it back.
func TestNothingIsSentAtOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		now, at, next string // next: what is offered instead. Empty: it is scheduled
	}{
		"a second before":       {"09:14:59", "09:15:00", "09:30:00"},
		"five minutes before":   {"09:10:00", "09:15:00", "09:30:00"},
		"now":                   {"09:15:00", "09:15:00", "09:30:00"},
		"in another zone":       {"09:14:59", "11:15:00+02:00", "09:30:00"},
		"before":                {"09:10:00", "09:00:00", "09:30:00"},
		"a little too late":     {"09:05:01", "09:15:00", "09:30:00"},
		"ten minutes before":    {"09:05:00", "09:15:00", ""},
		"twenty minutes before": {"09:10:00", "09:30:00", ""},
	} {
		t.Run(name, func(t *testing.T) {
			now, err := time.Parse(time.RFC3339, "2026-07-01T"+tt.now+"Z")
			if err != nil {
				t.Fatal(err)
			}
			r := newRig(t, tools.Config{AllowWrites: true, Now: func() time.Time { return now }}, sandbox.Config{})
			of := args{"campaign_id": r.readyDraft(r.audience()), "schedule_time": "2026-07-01T" + tt.at}
			if !strings.Contains(tt.at, "+") {
				of["schedule_time"] = "2026-07-01T" + tt.at + "Z"
			}
			want := "schedule"
			if tt.next == "" {
				r.call("schedule_campaign", of)
			} else {
				r.fails("schedule_campaign", of, "10 minutes", "2026-07-01T"+tt.next+"Z is the next")
				want = "save"
			}
			if got := r.call("get_campaign", args{"campaign_id": of["campaign_id"]}); got["status"] != want {
				t.Errorf("got a campaign with the status %v, want %s", got["status"], want)
			}
		})
	}
}
