package tools_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/marketing"
	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/tools"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// reading is a call of a tool that reads, and what its answer has.
type reading struct {
	tool string
	args func(*rig) args // nil: none
	want []string        // places that are not empty
	most int             // bytes of the answer
}

func inAudience(more args) func(*rig) args {
	return func(r *rig) args {
		a := args{"audience_id": r.audience()}
		for name, value := range more {
			a[name] = value
		}
		return a
	}
}

func ofMember(r *rig) args {
	id := r.audience()
	return args{"audience_id": id, "email_address": r.someMember(id)}
}

func ofSegment(r *rig) args {
	id := r.audience()
	segments := r.call("list_segments", args{"audience_id": id})
	return args{"audience_id": id, "segment_id": at(r.t, segments, "segments.0.id")}
}

func ofCampaign(status string, more args) func(*rig) args {
	return func(r *rig) args {
		a := args{"campaign_id": r.campaign(status)}
		for name, value := range more {
			a[name] = value
		}
		return a
	}
}

// readings has each tool that reads, once at least.
func readings() map[string]reading {
	return map[string]reading{
		"ping":            {"ping", nil, []string{"health_status"}, 100},
		"the account":     {"get_account", nil, []string{"account_id", "account_name", "role", "email"}, 500},
		"audiences":       {"list_audiences", nil, []string{"audiences.1.id", "audiences.0.name", "audiences.0.stats.member_count", "total_items"}, 700},
		"an audience":     {"get_audience", inAudience(nil), []string{"id", "name", "campaign_defaults.from_name", "stats.member_count"}, 1000},
		"growth":          {"list_audience_growth", inAudience(args{"count": 12}), []string{"months.0.month", "months.0.subscribed", "months.11.unsubscribed", "total_items"}, 1200},
		"merge fields":    {"list_merge_fields", inAudience(nil), []string{"merge_fields.0.tag", "merge_fields.0.type"}, 500},
		"members":         {"list_members", inAudience(nil), []string{"members.19.email_address", "members.0.full_name", "members.0.status", "next_offset", "total_items"}, 2300},
		"new members":     {"list_members", inAudience(args{"joined_since": "2026-06-01"}), []string{"members.0.timestamp_opt"}, 3000},
		"changed members": {"list_members", inAudience(args{"changed_since": "2026-01-01", "sort_by": "last_changed", "order": "asc"}), []string{"members.0.last_changed"}, 3000},
		"a member":        {"get_member", ofMember, []string{"email_address", "status", "merge_fields.FNAME", "tags", "timestamp_opt"}, 1000},
		"searched members": {"search_members", func(*rig) args { return args{"query": "ada.allen.1@example.com"} },
			[]string{"members.0.email_address", "members.0.audience_id", "found"}, 1000},
		"tags":               {"list_tags", inAudience(nil), []string{"tags.0.name", "total_items"}, 500},
		"tags with a name":   {"list_tags", inAudience(args{"name": "Cust"}), []string{"tags.0.name"}, 200},
		"a member's tags":    {"list_member_tags", ofMember, []string{"total_items"}, 500},
		"segments":           {"list_segments", inAudience(nil), []string{"segments.0.id", "segments.0.type", "segments.0.member_count"}, 1500},
		"a segment":          {"get_segment", ofSegment, []string{"id", "name", "type"}, 700},
		"a segment's people": {"list_segment_members", ofSegment, []string{"members.0.email_address"}, 3000},
		"campaigns":          {"list_campaigns", nil, []string{"campaigns.0.id", "campaigns.0.status", "campaigns.0.settings.title", "campaigns.0.recipients.list_id", "campaigns.3.report_summary.open_rate"}, 4000},
		"sent campaigns": {"list_campaigns", func(*rig) args {
			return args{"status": "sent", "sent_since": "2026-04-01T00:00:00Z", "sort_by": "send_time"}
		}, []string{"campaigns.0.send_time"}, 2000},
		"searched campaigns": {"search_campaigns", func(*rig) args { return args{"query": "weavers"} }, []string{"campaigns.0.id", "campaigns.0.snippet", "total_items"}, 1000},
		"a campaign":         {"get_campaign", ofCampaign("sent", nil), []string{"id", "settings.subject_line", "recipients.list_name", "report_summary.open_rate"}, 1500},
		"content":            {"get_campaign_content", ofCampaign("sent", nil), []string{"plain_text", "total_characters"}, 1000},
		"HTML":               {"get_campaign_content", ofCampaign("sent", args{"format": "html"}), []string{"html", "total_characters"}, 1000},
		"a checklist":        {"get_send_checklist", ofCampaign("save", nil), []string{"items.0.heading", "items.0.type", "items.0.details"}, 500},
		"reports":            {"list_reports", nil, []string{"reports.0.id", "reports.0.emails_sent", "reports.0.opens.open_rate", "reports.0.clicks.click_rate"}, 2000},
		"a report":           {"get_report", ofCampaign("sent", nil), []string{"id", "emails_sent", "opens.open_rate", "clicks.click_rate"}, 700},
		"clicks":             {"get_report_details", ofCampaign("sent", args{"detail": "clicks"}), []string{"urls_clicked.0.id", "urls_clicked.0.url", "urls_clicked.0.total_clicks"}, 2000},
		"opens":              {"get_report_details", ofCampaign("sent", args{"detail": "opens"}), []string{"members.0.email_address", "members.0.opens_count"}, 4000},
		"unsubscribes":       {"get_report_details", ofCampaign("sent", args{"detail": "unsubscribes"}), []string{"unsubscribes"}, 3000},
		"recipients":         {"get_report_details", ofCampaign("sent", args{"detail": "recipients"}), []string{"sent_to.0.email_address"}, 4000},
		"activity":           {"get_report_details", ofCampaign("sent", args{"detail": "email_activity"}), []string{"emails.0.email_address"}, 8000},
		"domains":            {"get_report_details", ofCampaign("sent", args{"detail": "domains"}), []string{"domains.0.domain", "domains.0.opens", "total_items"}, 1000},
		"locations":          {"get_report_details", ofCampaign("sent", args{"detail": "locations"}), []string{"locations.0.country_code", "locations.0.region_name", "locations.0.opens"}, 1000},
		"abuse":              {"get_report_details", ofCampaign("sent", args{"detail": "abuse_reports"}), []string{"abuse_reports", "total_items"}, 1000},
	}
}

func TestAnswersHaveWhatIsNeededAndAreSmall(t *testing.T) {
	r := newRig(t, tools.Config{}, sandbox.Config{})
	tried := map[string]bool{}
	for name, tt := range readings() {
		tried[tt.tool] = true
		t.Run(name, func(t *testing.T) {
			var a args
			if tt.args != nil {
				a = tt.args(r)
			}
			said, isError := r.send(tt.tool, a)
			if isError {
				t.Fatalf("%s %v: %s", tt.tool, a, said)
			}
			t.Logf("%s: %d bytes", tt.tool, len(said))
			if len(said) > tt.most || strings.Contains(said, "_links") {
				t.Errorf("got %d bytes, want %d at most and no _links: %s", len(said), tt.most, said)
			}
			var answer map[string]any
			if err := json.Unmarshal([]byte(said), &answer); err != nil {
				t.Fatal(err)
			}
			for _, place := range tt.want {
				if v := at(t, answer, place); v == nil || v == "" {
					t.Errorf("there is nothing at %s of %s", place, said)
				}
			}
		})
	}
	for name, hints := range promises() {
		if hints.readOnly && !tried[name] {
			t.Errorf("%s is not tried", name)
		}
	}
}

func TestListsGoOnWhereTheyEnded(t *testing.T) {
	r := newRig(t, tools.Config{}, sandbox.Config{})
	id := r.audience()
	seen := map[string]bool{}
	a := args{"audience_id": id, "count": 100, "fields": []string{"email_address"}}
	for pages := 1; ; pages++ {
		got := r.call("list_members", a)
		for _, m := range got["members"].([]any) {
			seen[text(t, m, "email_address")] = true
		}
		next, more := got["next_offset"]
		if !more {
			if total := int(got["total_items"].(float64)); total < 101 || total != len(seen) || pages != (total+99)/100 {
				t.Errorf("got %d members in %d pages, want %d of 100 each", len(seen), pages, total)
			}
			return
		}
		a["offset"] = next
	}
}

func TestGrowthBeginsWithTheLastMonth(t *testing.T) {
	r := newRig(t, tools.Config{}, sandbox.Config{})
	got := r.call("list_audience_growth", args{"audience_id": r.audience(), "count": 2})
	if first, second := text(t, got, "months.0.month"), text(t, got, "months.1.month"); first != "2026-07" || second != "2026-06" {
		t.Errorf("got %s and %s, want 2026-07 and 2026-06", first, second)
	}
}

func TestWhoClickedALink(t *testing.T) {
	r := newRig(t, tools.Config{}, sandbox.Config{})
	of := args{"campaign_id": r.campaign("sent"), "detail": "clicks"}
	link := at(t, r.call("get_report_details", of), "urls_clicked.0")
	got := r.call("get_report_details", merged(of, args{"link_id": at(t, link, "id"), "count": 1000}))
	if got["total_items"] != at(t, link, "unique_clicks") || text(t, got, "members.0.email_address") == "" || at(t, got, "members.0.clicks") == 0.0 {
		t.Errorf("got %v, want those who clicked %v", got, link)
	}
	r.fails("get_report_details", merged(of, args{"link_id": "0000000000"}), "404", "no link", "without link_id")
	r.fails("get_report_details", merged(of, args{"link_id": "0000000000", "detail": "opens"}), "clicks only")
}

func TestMembersAreThoseOfATime(t *testing.T) {
	r := newRig(t, tools.Config{}, sandbox.Config{})
	id := r.audience()
	since, before := 0.0, 0.0
	for filter, n := range map[string]*float64{"joined_since": &since, "joined_before": &before} {
		*n = r.call("list_members", args{"audience_id": id, filter: "2026-06-01", "count": 1})["total_items"].(float64)
	}
	all := r.call("list_members", args{"audience_id": id, "count": 1})["total_items"].(float64)
	if since == 0 || before == 0 || since+before > all {
		t.Errorf("got %v who joined since, %v before, of %v; want some each", since, before, all)
	}
	for _, same := range []string{"2026-06-01T00:00", "2026-06-01T00:00:00", "2026-06-01T00:00:00Z", "2026-06-01T02:00:00+02:00"} {
		if got := r.call("list_members", args{"audience_id": id, "joined_since": same, "count": 1}); got["total_items"] != since {
			t.Errorf("got %v who joined since %s, want the %v since that date", got["total_items"], same, since)
		}
	}
	r.fails("list_members", args{"audience_id": id, "joined_since": "June"}, "joined_since", "ISO 8601")
}

func TestFieldsAreChosen(t *testing.T) {
	r := newRig(t, tools.Config{}, sandbox.Config{})
	id := r.audience()
	some := r.call("list_members", args{"audience_id": id, "count": 1, "fields": []string{"merge_fields.FNAME", "members.vip"}})
	m := at(t, some, "members.0").(map[string]any)
	if len(m) != 3 || m["email_address"] == nil || m["vip"] == nil || at(t, m, "merge_fields.FNAME") == nil {
		t.Errorf("got %v, want email_address, vip and FNAME", m)
	}
	all := at(t, r.call("list_members", args{"audience_id": id, "count": 1, "fields": []string{"*"}}), "members.0").(map[string]any)
	if all["ip_opt"] == nil || all["_links"] != nil {
		t.Errorf("got %v, want everything but _links", all)
	}
	r.fails("list_members", args{"audience_id": id, "fields": []string{"id&count=1000"}}, "fields", "email_address")
}

func TestContentIsCutAndGoesOn(t *testing.T) {
	r := writing(t)
	id := r.campaign("save")
	whole := strings.Repeat("ä<p>x</p>", 100)
	r.call("set_campaign_content", args{"campaign_id": id, "html": whole})
	var got strings.Builder
	a := args{"campaign_id": id, "format": "html", "max_characters": 400}
	for {
		part := r.call("get_campaign_content", a)
		got.WriteString(text(t, part, "html"))
		next, more := part["next_start"]
		if more != part["is_cut"].(bool) {
			t.Errorf("got is_cut %v and next_start %v", part["is_cut"], next)
		}
		if !more {
			break
		}
		a["start"] = next
	}
	if got.String() != whole {
		t.Errorf("got %d bytes in parts, want the %d that were set", got.Len(), len(whole))
	}
}

func TestHTMLAndNamesStayAsTheyAre(t *testing.T) {
	r := writing(t)
	id := r.campaign("save")
	const html = `<p class="a">Moth & Daughters</p>`
	r.call("set_campaign_content", args{"campaign_id": id, "html": html})
	said, _ := r.send("get_campaign_content", args{"campaign_id": id, "format": "html"})
	if want := `<p class=\"a\">Moth & Daughters</p>`; !strings.Contains(said, want) {
		t.Errorf("got %s, want %s in it", said, want)
	}
}

// answering is a rig whose Mailchimp answers everything with this.
func answering(t *testing.T, body string) *rig {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }))
	t.Cleanup(server.Close)
	account, err := marketing.NewWithAPIKey(secret.New(apiKey), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, session: dial(t, tools.Config{Account: account})}
}

func TestAnAnswerThatIsTooLongIsNone(t *testing.T) {
	const note = `{"text":"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"}`
	r := answering(t, `{"id":"a1b2c3d4e5","notes":[`+strings.Repeat(note+",", 1_000)+note+`]}`)
	r.fails("get_audience", args{"audience_id": "a1b2c3d4e5", "fields": []string{"*"}}, "fewer items", "fewer fields")
}

func TestAPageHasWhatFits(t *testing.T) {
	const member = `{"email_address":"urist@example.com","full_name":"Urist McVankab","notes":"` + "0123456789012345678901234567890123456789" + `"}`
	r := answering(t, `{"members":[`+strings.Repeat(member+",", 999)+member+`],"total_items":5000}`)
	said, isError := r.send("list_members", args{"audience_id": "a1b2c3d4e5", "count": 1000, "offset": 50})
	var got struct {
		Members []any
		Next    int `json:"next_offset"`
	}
	if err := json.Unmarshal([]byte(said), &got); isError || err != nil {
		t.Fatalf("got %.200s, %v; want a page", said, err)
	}
	if n := len(got.Members); n < 800 || n > 999 || got.Next != 50+n || len(said) > 100_000 {
		t.Errorf("got %d members in %d bytes and the next offset %d, want what fits, and to go on after it", n, len(said), got.Next)
	}
}

func TestAnItemThatIsTooLongIsNotSkipped(t *testing.T) {
	const note = `{"text":"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"}`
	long := `{"email_address":"urist@example.com","notes":[` + strings.Repeat(note+",", 1_000) + note + `]}`
	r := answering(t, `{"members":[`+long+`,`+long+`],"total_items":2}`)
	r.fails("list_members", args{"audience_id": "a1b2c3d4e5"}, "fewer fields")
}

func TestFieldsThatAreNotThereAreNamed(t *testing.T) {
	r := newRig(t, tools.Config{}, sandbox.Config{})
	id := r.audience()
	for name, tt := range map[string]struct {
		tool         string
		fields, want []any
	}{
		"none of a list": {"list_members", []any{"members.signup", "stats.rate", "email"}, []any{"members.signup", "stats.rate", "email"}},
		"some of a list": {"list_members", []any{"members.status", "stats.avg_open_rate", "tags.name", "email"}, []any{"email"}},
		"of one":         {"get_audience", []any{"stats.member_count", "members"}, []any{"members"}},
		"all":            {"get_audience", []any{"*"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := &rig{t: t, sandbox: r.sandbox, session: r.session}
			got, _ := r.call(tt.tool, args{"audience_id": id, "fields": tt.fields})["fields_not_found"].([]any)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("fields that are not there (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnswersAreTidy(t *testing.T) {
	r := answering(t, `{"members":[{"_links":[1],"last_note":{"_links":[1],"note":"`+strings.Repeat("x", 3_000)+`"},"n":12345678901234567890}],"total_items":1,"_links":[1]}`)
	said, _ := r.send("list_members", args{"audience_id": "a1b2c3d4e5", "fields": []string{"*"}})
	want := `{"members":[{"last_note":{"note":"` + strings.Repeat("x", 2_000) + `… [cut: 2000 of 3000 characters]"},"n":12345678901234567890}],"total_items":1}`
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("the answer (-want +got):\n%s", diff)
	}
}
