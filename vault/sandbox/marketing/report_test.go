package marketing_test

import (
	"fmt"
	"testing"
	"time"
)

func TestReportsAddUp(t *testing.T) {
	a := newAccount(t, nil)
	reports := a.get("/reports")
	if got, want := reports.number("total_items"), a.get("/campaigns", "status", "sent").number("total_items"); got != want || got == 0 {
		t.Fatalf("%d reports, want one for each of %d campaigns sent", got, want)
	}
	abuse := 0
	for i := range reports.list("reports") {
		path := "/reports/" + reports.text("reports", i, "id")
		t.Run(reports.text("reports", i, "campaign_title"), func(t *testing.T) { a.in(t).reportAddsUp(path) })
		abuse += reports.number("reports", i, "abuse_reports")
	}
	if abuse == 0 {
		t.Error("nobody has ever reported abuse")
	}
}

// reportAddsUp compares a report with the parts that tell of each member.
func (a *account) reportAddsUp(path string) {
	report := a.get(path)
	all := func(part string) reply { return a.get(path+part, "count", "1000") }
	equal := func(what string, got, want int) {
		if got != want || got == 0 {
			a.t.Errorf("%s is %d, want %d and not 0", what, got, want)
		}
	}
	sent, bounced := all("/sent-to"), 0
	for i := range sent.list("sent_to") {
		if sent.text("sent_to", i, "status") == "hard" {
			bounced++
		}
	}
	opens := all("/open-details")
	equal("emails_sent", report.number("emails_sent"), sent.number("total_items"))
	equal("hard_bounces", report.number("bounces", "hard_bounces"), bounced)
	equal("unique_opens", report.number("opens", "unique_opens"), opens.number("total_items"))
	equal("opens_total", report.number("opens", "opens_total"), opens.number("total_opens"))
	equal("unsubscribed", report.number("unsubscribed"), all("/unsubscribed").number("total_items"))

	clicks, total := all("/click-details"), 0
	for i := range clicks.list("urls_clicked") {
		total += clicks.number("urls_clicked", i, "total_clicks")
		members := a.get(path+"/click-details/"+clicks.text("urls_clicked", i, "id")+"/members", "count", "1")
		equal("unique_clicks of a link", members.number("total_items"), clicks.number("urls_clicked", i, "unique_clicks"))
	}
	equal("clicks_total", report.number("clicks", "clicks_total"), total)

	domains, mails, openers := a.get(path+"/domain-performance"), 0, 0
	for i := range domains.list("domains") {
		mails += domains.number("domains", i, "emails_sent")
		openers += domains.number("domains", i, "opens")
	}
	equal("emails_sent of all domains", mails, report.number("emails_sent"))
	equal("opens of all domains", openers, report.number("opens", "unique_opens"))

	places, opened := all("/locations"), 0
	for i := range places.list("locations") {
		opened += places.number("locations", i, "opens")
	}
	equal("opens of all locations", opened, report.number("opens", "unique_opens"))
	if told, listed := report.number("abuse_reports"), len(a.get(path+"/abuse-reports").list("abuse_reports")); told != listed {
		a.t.Errorf("abuse_reports is %d, and %d are listed", told, listed)
	}

	activity, done := all("/email-activity"), map[string]int{}
	for i := range activity.list("emails") {
		for j := range activity.list("emails", i, "activity") {
			done[activity.text("emails", i, "activity", j, "action")]++
		}
	}
	equal("opens in email-activity", done["open"], report.number("opens", "opens_total"))
	equal("clicks in email-activity", done["click"], total)
	equal("bounces in email-activity", done["bounce"], bounced)
}

func TestReportsTellOfOneMember(t *testing.T) {
	a := newAccount(t, nil)
	path := "/reports/" + a.get("/reports").text("reports", 0, "id")
	for part, list := range map[string]string{"/open-details": "members", "/email-activity": "emails", "/sent-to": "sent_to", "/unsubscribed": "unsubscribes"} {
		all := a.get(path + part)
		id := all.text(list, 0, "email_id")
		if got := a.get(path + part + "/" + id).text("email_address"); got != all.text(list, 0, "email_address") || got == "" {
			t.Errorf("GET %s of one is of %q", part, got)
		}
		a.do("GET", path+part+"/"+hashOf("nobody@example.com"), nil).refused(404, "Resource Not Found", "")
	}
	campaigns := a.get("/campaigns", "member_id", a.get(path+"/sent-to").text("sent_to", 0, "email_id"))
	if campaigns.number("total_items") == 0 {
		t.Error("no campaign was sent to one who is in sent-to")
	}
}

func TestCampaignsAreOpenedAsTimeGoesBy(t *testing.T) {
	a := newAccount(t, nil)
	path := a.campaignIn("schedule")
	report := "/reports/" + path[len("/campaigns/"):]
	a.do("GET", report, nil).refused(404, "Resource Not Found", "")
	a.clock.add(3 * 24 * time.Hour)
	if got := a.get(report); got.number("emails_sent") == 0 || got.number("opens", "opens_total") != 0 {
		t.Errorf("when it is sent, its report is %v", got.body)
	}
	before := 0
	for _, wait := range []time.Duration{6 * time.Hour, 12 * time.Hour, 24 * time.Hour} {
		a.clock.add(wait)
		opens := a.get(report).number("opens", "opens_total")
		if opens <= before {
			t.Errorf("%s later there are %d opens, want more than %d", wait, opens, before)
		}
		before = opens
	}
	since := a.clock.Now().Add(-12 * time.Hour).Format(time.RFC3339)
	recent := a.get(report+"/open-details", "since", since).number("total_items")
	if all := a.get(report + "/open-details").number("total_items"); recent == 0 || recent >= all {
		t.Errorf("%d of %d have opened it in the last 12 hours", recent, all)
	}
	if got := fmt.Sprint(a.get(report).at("timeseries")); got == "[]" {
		t.Error("the report has no timeseries")
	}
}
