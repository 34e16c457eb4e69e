package marketing_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenvault/tokenvault/vault/sandbox"
)

// ready makes a campaign that can be sent but for what it is to lack, if anything,
// and returns its path.
func (a *account) ready(lacks string) string {
	a.t.Helper()
	settings := fields{"title": "Test", "subject_line": "Hello", "from_name": "Ada", "reply_to": "ada@example.com"}
	body := fields{"type": "regular", "settings": settings}
	if settings[lacks] != nil {
		settings[lacks] = ""
	}
	if lacks != "list" {
		body["recipients"] = fields{"list_id": a.get("/lists").text("lists", 1, "id")}
	}
	path := "/campaigns/" + a.do("POST", "/campaigns", body).ok(200).text("id")
	if lacks != "content" {
		a.do("PUT", path+"/content", fields{"html": `<p>Hello <a href="https://www.example.com/">there</a> &amp; all</p>`}).ok(200)
	}
	return path
}

func TestACampaignIsMadeChangedAndSent(t *testing.T) {
	a := newAccount(t, nil)
	path := a.ready("")
	if got := a.get(path); got.text("status") != "save" || got.text("recipients", "list_name") == "" || got.at("report_summary") != nil {
		t.Errorf("a new campaign is %v", got.body)
	}
	changed := a.do("PATCH", path, fields{"settings": fields{"subject_line": "Hello again"}}).ok(200)
	if changed.text("settings", "subject_line") != "Hello again" || changed.text("settings", "from_name") != "Ada" {
		t.Errorf("settings are %v", changed.at("settings"))
	}
	if got := a.get(path + "/content").text("plain_text"); got != "Hello\nthere\n& all" {
		t.Errorf("plain_text is %q", got)
	}
	if got := a.get(path + "/send-checklist"); got.at("is_ready") != true {
		t.Errorf("the checklist is %v", got.body)
	}
	a.do("POST", path+"/actions/test", fields{"test_emails": []string{"ada@example.com"}, "send_type": "html"}).ok(204)
	a.do("POST", path+"/actions/send", nil).ok(204)
	sent := a.get(path)
	list := a.get("/lists/" + sent.text("recipients", "list_id"))
	if sent.text("status") != "sent" || sent.text("send_time") != "2026-11-28T09:07:00+00:00" || sent.number("emails_sent") != list.number("stats", "member_count") {
		t.Errorf("sent as %v", sent.body)
	}
	if got := list.text("stats", "campaign_last_sent"); got != sent.text("send_time") {
		t.Errorf("the list's last campaign was sent at %q", got)
	}
	twin := "/campaigns/" + a.do("POST", path+"/actions/replicate", nil).ok(200).text("id")
	if got := a.get(twin); got.text("status") != "save" || got.text("settings", "subject_line") != "Hello again" || got.number("emails_sent") != 0 {
		t.Errorf("the copy is %v", got.body)
	}
	a.do("DELETE", twin, nil).ok(204)
	a.do("GET", twin, nil).refused(404, "Resource Not Found", "")
}

func TestOnlyCompleteCampaignsAreSent(t *testing.T) {
	a := newAccount(t, nil)
	for _, lacks := range []string{"content", "subject_line", "from_name", "reply_to", "list"} {
		t.Run("without "+lacks, func(t *testing.T) {
			a := a.in(t)
			path := a.ready(lacks)
			a.do("POST", path+"/actions/send", nil).refused(400, "Bad Request", "not ready to send")
			a.do("POST", path+"/actions/schedule", fields{"schedule_time": "2026-11-29T09:15:00+00:00"}).refused(400, "Bad Request", "cannot be scheduled")
			if got := a.get(path + "/send-checklist"); got.at("is_ready") != false {
				t.Errorf("the checklist is %v", got.body)
			}
		})
	}
}

func TestCampaignsAreScheduledOnTheQuarterHour(t *testing.T) {
	a := newAccount(t, nil)
	path := a.ready("")
	for _, row := range []struct{ name, at, title, words string }{
		{"between two quarters", "2026-11-29T09:10:00+00:00", "Bad Request", "quarter"},
		{"seconds after a quarter", "2026-11-29T09:15:01+00:00", "Bad Request", "quarter"},
		{"in the past", "2026-11-28T09:00:00+00:00", "Bad Request", "past"},
		{"no time", "tomorrow", "Invalid Resource", "schedule_time"},
	} {
		t.Run(row.name, func(t *testing.T) {
			a.in(t).do("POST", path+"/actions/schedule", fields{"schedule_time": row.at}).refused(400, row.title, row.words)
		})
	}
	a.do("POST", path+"/actions/schedule", nil).refused(400, "Invalid Resource", "schedule_time")
	a.do("POST", path+"/actions/schedule", fields{"schedule_time": "2026-11-28T10:15:00+01:00"}).ok(204)
	if got := a.get(path); got.text("status") != "schedule" || got.text("send_time") != "2026-11-28T09:15:00+00:00" {
		t.Errorf("scheduled as %v", got.body)
	}
	a.clock.add(7 * time.Minute)
	if got := a.get(path).text("status"); got != "schedule" {
		t.Errorf("a minute before its time, its status is %q", got)
	}
	a.clock.add(time.Minute)
	if got := a.get(path); got.text("status") != "sent" || got.number("emails_sent") == 0 {
		t.Errorf("at its time, it is %v", got.body)
	}
}

func TestOnlyDraftsAreChanged(t *testing.T) {
	for _, status := range []string{"schedule", "sending", "sent"} {
		t.Run(status, func(t *testing.T) {
			a := newAccount(t, func(c *sandbox.Config) { c.SendDuration = time.Hour })
			path := a.ready("")
			switch status {
			case "schedule":
				a.do("POST", path+"/actions/schedule", fields{"schedule_time": "2026-11-28T09:15:00Z"}).ok(204)
			case "sending", "sent":
				a.do("POST", path+"/actions/send", nil).ok(204)
			}
			if status == "sent" {
				a.clock.add(time.Hour)
			}
			before := a.get(path)
			if got := before.text("status"); got != status {
				t.Fatalf("status is %q, want %q", got, status)
			}
			a.do("PATCH", path, fields{"settings": fields{"title": "x"}}).refused(400, "Bad Request", status)
			a.do("PUT", path+"/content", fields{"html": "x"}).refused(400, "Bad Request", status)
			a.do("POST", path+"/actions/send", nil).refused(400, "Bad Request", status)
			a.do("POST", path+"/actions/schedule", fields{"schedule_time": "2026-11-30T09:15:00Z"}).refused(400, "Bad Request", status)
			if status != "sent" {
				a.do("DELETE", path, nil).refused(400, "Bad Request", status)
			}
			if status != "schedule" {
				a.do("POST", path+"/actions/unschedule", nil).refused(400, "Bad Request", status)
			}
			if status != "sending" {
				a.do("POST", path+"/actions/cancel-send", nil).refused(400, "Bad Request", status)
			}
			if diff := cmp.Diff(before.body, a.get(path).body); diff != "" {
				t.Errorf("refused requests have changed it (-before +after):\n%s", diff)
			}
		})
	}
}

func TestCampaignsAreStopped(t *testing.T) {
	a := newAccount(t, func(c *sandbox.Config) { c.SendDuration = time.Hour })
	path := a.ready("")
	a.do("POST", path+"/actions/schedule", fields{"schedule_time": "2026-11-28T09:15:00Z"}).ok(204)
	a.do("POST", path+"/actions/unschedule", nil).ok(204)
	if got := a.get(path); got.text("status") != "save" || got.text("send_time") != "" {
		t.Errorf("unscheduled, it is %v", got.body)
	}
	a.do("POST", path+"/actions/send", nil).ok(204)
	a.do("POST", path+"/actions/cancel-send", nil).ok(204)
	a.clock.add(2 * time.Hour)
	if got := a.get(path); got.text("status") != "canceled" || got.number("emails_sent") != 0 {
		t.Errorf("canceled, it is %v", got.body)
	}
}

func TestCampaignsGoToSegments(t *testing.T) {
	a := newAccount(t, nil)
	news := a.news()
	list := a.get(news).text("id")
	segment := a.get(news+"/segments", "type", "static")
	made := a.do("POST", "/campaigns", fields{
		"type": "regular", "recipients": fields{"list_id": list, "segment_opts": fields{"saved_segment_id": segment.number("segments", 0, "id")}},
	}).ok(200)
	if got, want := made.number("recipients", "recipient_count"), segment.number("segments", 0, "member_count"); got != want || want == 0 {
		t.Errorf("%d recipients, want the segment's %d", got, want)
	}
	a.do("POST", "/campaigns", fields{"type": "regular", "recipients": fields{"list_id": "nix"}}).refused(400, "Invalid Resource", "recipients.list_id")
	a.do("POST", "/campaigns", fields{"type": "regular", "recipients": fields{"list_id": list, "segment_opts": fields{"saved_segment_id": 1}}}).refused(400, "Invalid Resource", "saved_segment_id")
	a.do("POST", "/campaigns", fields{"type": "letter"}).refused(400, "Invalid Resource", "type")
	a.do("POST", "/campaigns", fields{"type": "regular", "settings": fields{"reply_to": "ada"}}).refused(400, "Invalid Resource", "valid email")
}

func TestCampaignsAreFilteredAndSearched(t *testing.T) {
	a := newAccount(t, nil)
	all := a.get("/campaigns")
	if all.number("total_items") < 5 {
		t.Fatalf("%d campaigns, want five at least", all.number("total_items"))
	}
	sum := 0
	for _, status := range []string{"save", "schedule", "sent"} {
		n := a.get("/campaigns", "status", status).number("total_items")
		if n == 0 {
			t.Errorf("no campaign is %s", status)
		}
		sum += n
	}
	if sum != all.number("total_items") {
		t.Errorf("%d campaigns have a status, of %d", sum, all.number("total_items"))
	}
	sent := a.get("/campaigns", "status", "sent", "sort_field", "send_time", "sort_dir", "DESC")
	last := sent.text("campaigns", 0, "send_time")
	if got := a.get("/campaigns", "status", "sent", "before_send_time", last).number("total_items"); got != sent.number("total_items")-1 {
		t.Errorf("%d were sent before the last one, of %d", got, sent.number("total_items"))
	}
	if got := a.get("/campaigns", "list_id", a.get("/lists").text("lists", 1, "id")).number("total_items"); got != 0 {
		t.Errorf("%d campaigns are of a list that has none", got)
	}
	found := a.get("/search-campaigns", "query", "GIANT leap")
	if found.number("total_items") != 1 || found.text("results", 0, "campaign", "settings", "subject_line") != "A giant leap" || found.text("results", 0, "snippet") == "" {
		t.Errorf("found %v", found.body)
	}
}
