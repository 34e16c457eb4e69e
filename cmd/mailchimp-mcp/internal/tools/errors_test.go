package tools_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/tools"
	"github.com/tokenvault/tokenvault/vault/sandbox"
)

func TestWhatIsWrongIsSaidToTheModel(t *testing.T) {
	r := writing(t)
	id := r.audience()
	member := func(address string) args { return args{"audience_id": id, "email_address": address} }
	for name, tt := range map[string]struct {
		tool string
		args args
		want []string
	}{
		"no such audience":            {"get_audience", args{"audience_id": "0000000000"}, []string{"404", "list_audiences", `"0000000000"`}},
		"members of no such audience": {"list_members", args{"audience_id": "0000000000"}, []string{"404", "list_audiences"}},
		"nobody there":                {"get_member", member("nobody@example.com"), []string{"404", "search_members"}},
		"no such segment":             {"get_segment", args{"audience_id": id, "segment_id": 1}, []string{"404", "list_segments"}},
		"no such campaign":            {"get_campaign", args{"campaign_id": "0000000000"}, []string{"404", "list_campaigns"}},
		"not sent yet":                {"get_report", args{"campaign_id": r.campaign("save")}, []string{"404", "not sent yet"}},
		"no report":                   {"get_report", args{"campaign_id": "0000000000"}, []string{"404", "list_reports"}},
		"draft for no audience":       {"create_campaign_draft", args{"audience_id": "0000000000", "subject_line": "x"}, []string{"404", "list_audiences"}},
		"a draft to segment 0":        {"create_campaign_draft", args{"audience_id": id, "subject_line": "x", "segment_id": 0}, []string{"segment_id"}},
		"another endpoint":            {"get_campaign", args{"campaign_id": "../lists"}, []string{"no ID"}},
		"another endpoint, escaped":   {"list_members", args{"audience_id": "a%2f..%2f"}, []string{"no ID"}},
		"a query":                     {"get_audience", args{"audience_id": "x?fields=id"}, []string{"no ID"}},
		"no address":                  {"get_member", member("Urist"), []string{"no e-mail address"}},
		"a test to no address":        {"send_test_email", args{"campaign_id": "x", "email_addresses": []string{"Urist"}}, []string{"no e-mail address"}},
		"a fake address":              {"add_or_update_member", args{"audience_id": id, "email_address": "a@b.invalid", "status_if_new": "subscribed"}, []string{"400", "fake"}},
		"a wrong field":               {"add_or_update_member", args{"audience_id": id, "email_address": "a@example.com", "status_if_new": "subscribed", "merge_fields": args{"NONE": "x"}}, []string{"400"}},
		"a vague time":                {"list_members", args{"audience_id": id, "changed_since": "last week"}, []string{"changed_since", "ISO 8601"}},
		"a time without a zone":       {"schedule_campaign", args{"campaign_id": "x", "schedule_time": "2026-07-01T09:30:00"}, []string{"with a zone"}},
		"a schedule that is a date":   {"schedule_campaign", args{"campaign_id": "x", "schedule_time": "2026-07-02"}, []string{"with a zone"}},
		"not on the quarter":          {"schedule_campaign", args{"campaign_id": "x", "schedule_time": "2026-07-01T09:31:00Z"}, []string{"quarters of an hour"}},
		"in the past":                 {"schedule_campaign", args{"campaign_id": r.readyDraft(id), "schedule_time": "2026-06-01T09:30:00Z"}, []string{"schedule_time", "2026-07-01T09:30:00Z is the next"}},
		"too many":                    {"list_members", args{"audience_id": id, "count": 1001}, []string{"arguments: count: ", "1001 is greater than 1000"}},
		"none":                        {"list_members", args{"audience_id": id, "count": 0}, []string{"count", "1"}},
		"a negative offset":           {"list_members", args{"audience_id": id, "offset": -1}, []string{"offset"}},
		"an unknown parameter":        {"list_members", args{"list_id": id}, []string{"no such parameters", "list_id"}},
		"nothing required":            {"list_members", nil, []string{"missing parameters", "audience_id"}},
		"an unknown status":           {"list_members", args{"audience_id": id, "status": "active"}, []string{"arguments: status: ", "subscribed"}},
		"nothing to set":              {"set_campaign_content", args{"campaign_id": "x"}, []string{"html"}},
		"no tags":                     {"update_member_tags", member("a@example.com"), []string{"tags to add"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := &rig{t: t, sandbox: r.sandbox, session: r.session}
			r.fails(tt.tool, tt.args, tt.want...)
		})
	}
}

func TestWhatIsWrongIsSaidOnce(t *testing.T) {
	r := writing(t)
	for tool, a := range map[string]args{
		"get_audience":         {"audience_id": "0000000000"},
		"add_or_update_member": {"audience_id": r.audience(), "email_address": "nobody@example.com", "vip": true},
		"create_segment":       {"audience_id": r.audience(), "name": "x", "conditions": []args{{"condition_type": "None"}}},
	} {
		said, isError := r.send(tool, a)
		if most := 270; !isError || len(said) > most {
			t.Errorf("%s: got %d bytes, want an error of %d at most: %s", tool, len(said), most, said)
		}
		for _, boilerplate := range []string{"could not be found", "could not be validated"} {
			if strings.Contains(said, boilerplate) {
				t.Errorf("%s: got %q, want no %q in it", tool, said, boilerplate)
			}
		}
	}
}

func TestWhoHasLeftIsNotSubscribedForThem(t *testing.T) {
	r := writing(t)
	id := r.audience()
	gone := args{"audience_id": id, "email_address": text(t, r.call("list_members", args{"audience_id": id, "status": "unsubscribed", "count": 1}), "members.0.email_address")}
	r.fails("add_or_update_member", merged(gone, args{"status": "subscribed"}), "400", "status pending")
	if got := r.call("add_or_update_member", merged(gone, args{"status": "pending"})); got["status"] != "pending" {
		t.Errorf("got %v, want a pending member", got)
	}
}

func TestWhatCannotBeChangedSaysWhatToDo(t *testing.T) {
	r := writing(t)
	for name, tt := range map[string]struct {
		tool   string
		status string
		more   args
		want   string
	}{
		"settings of a scheduled one": {"update_campaign", "schedule", args{"subject_line": "x"}, "unschedule_campaign first"},
		"content of a scheduled one":  {"set_campaign_content", "schedule", args{"html": "x"}, "unschedule_campaign first"},
		"schedule of a scheduled one": {"schedule_campaign", "schedule", args{"schedule_time": "2026-07-02T09:30:00Z"}, "unschedule_campaign first"},
		"settings of a sent one":      {"update_campaign", "sent", args{"subject_line": "x"}, `"sent", and stays`},
	} {
		t.Run(name, func(t *testing.T) {
			r := &rig{t: t, sandbox: r.sandbox, session: r.session}
			r.fails(tt.tool, merged(args{"campaign_id": r.campaign(tt.status)}, tt.more), "400", tt.want)
		})
	}
}

func TestAViewerIsToldThatTheRightIsMissing(t *testing.T) {
	accounts := sandbox.DefaultAccounts()
	accounts[0].ReadOnly = true
	r := newRig(t, tools.Config{AllowWrites: true}, sandbox.Config{Accounts: accounts})
	r.fails("create_segment", args{"audience_id": r.audience(), "name": "x", "email_addresses": []string{}}, "403", "role")
}

func TestFaultsOfMailchimpAreToldInWords(t *testing.T) {
	for name, tt := range map[string]struct {
		tool  string
		fault sandbox.Fault
		want  []string
	}{
		"refused":            {"list_audiences", sandbox.Fault{Status: 401, Body: `{"title":"API Key Invalid"}`, ContentType: "application/problem+json"}, []string{"401", "API key"}},
		"too much":           {"list_audiences", sandbox.Fault{Status: 429, RetryAfter: time.Minute}, []string{"429", "60 seconds"}},
		"a page of HTML":     {"list_audiences", sandbox.Fault{Body: "<html>", ContentType: "text/html"}, []string{"no JSON"}},
		"a change broke off": {"send_test_email", sandbox.Fault{DropAfter: true}, []string{"may have done it or not"}},
		"a fault in between": {"send_test_email", sandbox.Fault{Status: 502}, []string{"502", "may have done it or not"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := writing(t)
			r.sandbox.Fault(sandbox.API, tt.fault)
			a := args{}
			if tt.tool == "send_test_email" {
				a = args{"campaign_id": "x", "email_addresses": []string{"a@example.com"}}
			}
			r.fails(tt.tool, a, tt.want...)
		})
	}
}

func TestArgumentsCanBeNull(t *testing.T) {
	r := writing(t)
	for _, arguments := range []any{nil, json.RawMessage("null"), json.RawMessage(" null "), json.RawMessage("{}")} {
		result, err := r.session.CallTool(t.Context(), &mcp.CallToolParams{Name: "list_audiences", Arguments: arguments})
		if err != nil || result.IsError {
			t.Errorf("got %v, %v for %s, want an answer", result, err, arguments)
		}
	}
}

func TestMailchimpIsNotAskedTooMuch(t *testing.T) {
	r := writing(t)
	reached := make(chan struct{}, 100)
	full := make(chan struct{})
	r.sandbox.Fault(sandbox.API, sandbox.Fault{Before: func(*http.Request) { reached <- struct{}{}; <-full }})
	var calls sync.WaitGroup
	for range 50 {
		calls.Go(func() {
			result, err := r.session.CallTool(t.Context(), &mcp.CallToolParams{Name: "list_audiences"})
			if err != nil || result.IsError {
				t.Errorf("got %v, %v; want an answer", result, err)
			}
		})
	}
	for range 10 {
		<-reached
	}
	close(full)
	calls.Wait()
	if peak, refused := r.sandbox.PeakConcurrency(sandbox.API), r.sandbox.LimitedRequests(sandbox.API); peak != 10 || refused != 0 {
		t.Errorf("got %d requests at a time and %d refused, want 10 and none", peak, refused)
	}
}

// TestTextThatHidesIsLeftOut has text that people do not see, and models read: each letter
// of it is one of some characters that show nothing.
func TestTextThatHidesIsLeftOut(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"tags":                         {"Urist\U000E0069\U000E0067!", "Urist!"},
		"overrides of the direction":   {"Urist\u202e\u2066!\u2069", "Urist!"},
		"a direction mark of Arabic":   {"Urist\u061c!", "Urist!"},
		"signs of mathematics":         {"Urist\u2062\u2064\u2062\u2062!", "Urist!"},
		"selectors of variants":        {"Urist\U000E0101\U000E01EF!", "Urist!"},
		"a selector after another":     {"Urist\ufe00\ufe01\ufe0f\ufe0f!", "Urist\ufe0f!"},
		"joiners in a row":             {"Urist\u200d\u200c\u200d\u200d!", "Urist\u200d!"},
		"joiners and selectors":        {"Urist\u200d\ufe0f\u200d\ufe0f!", "Urist\u200d!"},
		"spaces without a width":       {"Ur\u200bist\u2060\ufeff!", "Urist!"},
		"hyphens that are not shown":   {"Ur\u00adist!", "Urist!"},
		"letters that are blank":       {"Urist\u3164\u115f\u1160\uffa0!", "Urist!"},
		"annotations":                  {"Urist\ufff9\ufffb!", "Urist!"},
		"control characters":           {"Urist\x1b[31m\u009b!", "Urist[31m!"},
		"what stays: a family":         {"\U0001F469\u200d\U0001F467", "\U0001F469\u200d\U0001F467"},
		"what stays: a heart in red":   {"\u2764\ufe0f!", "\u2764\ufe0f!"},
		"what stays: a heart on fire":  {"\u2764\ufe0f\u200d\U0001F525", "\u2764\ufe0f\u200d\U0001F525"},
		"what stays: Persian":          {"\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"},
		"what stays: letters of Tibet": {"\u0f40\u0f72\u0301", "\u0f40\u0f72\u0301"},
	} {
		t.Run(name, func(t *testing.T) {
			r := writing(t)
			id := r.audience()
			r.call("add_or_update_member", args{"audience_id": id, "email_address": "a@example.com", "status_if_new": "subscribed", "merge_fields": args{"FNAME": tt.text}})
			got := r.call("get_member", args{"audience_id": id, "email_address": "a@example.com"})
			if name := text(t, got, "merge_fields.FNAME"); name != tt.want {
				t.Errorf("got %+q, want %+q", name, tt.want)
			}
		})
	}
}

// TestAnswersAreTidyWhereverTheyCouldNotBe has Mailchimp, or what stands before it, answer
// with what a model or its client stumbles over.
func TestAnswersAreTidyWhereverTheyCouldNotBe(t *testing.T) {
	deep := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	for name, tt := range map[string]struct{ body, want string }{
		"a name that hides":   {`{"a\u001b[31m\u202e\u2062":1}`, `{"a[31m":1}`},
		"a name that is long": {`{"` + strings.Repeat("n", 10_000) + `":1}`, `{"` + strings.Repeat("n", 200) + `… [cut: 200 of 10000 characters]":1}`},
		"a number as a text":  {`{"a":1` + strings.Repeat("0", 5000) + `}`, `{"a":"1` + strings.Repeat("0", 39) + `… [cut: 40 of 5001 characters]"}`},
		"a number":            {`{"a":12345678901234567890.5}`, `{"a":12345678901234567890.5}`},
		"deep":                {deep(20), deep(20)},
		"too deep":            {deep(5000), strings.Repeat(`{"a":`, 32) + `"[cut: it goes deeper than 32 levels]"` + strings.Repeat("}", 32)},
	} {
		t.Run(name, func(t *testing.T) {
			r := writing(t)
			r.sandbox.Fault(sandbox.API, sandbox.Fault{Body: tt.body, ContentType: "application/json"})
			got, isError := r.send("ping", nil)
			if isError || got != tt.want {
				t.Errorf("got %+.500q, want %+.500q", got, tt.want)
			}
		})
	}
}

func TestLongTextIsCut(t *testing.T) {
	r := writing(t)
	id := r.audience()
	made := r.call("create_campaign_draft", args{"audience_id": id, "subject_line": "x"})
	r.call("set_campaign_content", args{"campaign_id": made["campaign_id"], "html": "<p>" + strings.Repeat("x", 60_000) + "</p>"})
	got := r.call("get_campaign_content", args{"campaign_id": made["campaign_id"]})
	if n := len(text(t, got, "plain_text")); n != 10_000 || got["is_cut"] != true {
		t.Errorf("got %d characters (cut: %v), want 10,000 of them", n, got["is_cut"])
	}
}
