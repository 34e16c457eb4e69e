package nodetest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// args are those of a tool.
type args = map[string]any

// journey calls tools one after the other, with what those before have answered.
type journey struct {
	t      *testing.T
	c      *mcpClient
	called map[string]bool
}

// do calls a tool, whose answer must hold some texts.
func (j *journey) do(tool string, a args, want ...string) args {
	j.t.Helper()
	j.called[tool] = true
	j.c.call(tool, a)
	got := j.c.result()
	if got.IsError {
		j.t.Errorf("%s %v: %s", tool, a, got.Text)
	}
	for _, text := range want {
		if !strings.Contains(got.Text, text) {
			j.t.Errorf("%s %v answers %s, want %q in it", tool, a, got.Text, text)
		}
	}
	return got.Structured
}

// of returns a value from inside of an answer, such as the ID of the first audience.
func of[T any](t *testing.T, answer args, path ...any) T {
	t.Helper()
	var at any = answer
	for _, step := range path {
		switch inner := at.(type) {
		case args:
			at = inner[fmt.Sprint(step)]
		case []any:
			if i, ok := step.(int); ok && i < len(inner) {
				at = inner[i]
				continue
			}
			at = nil
		}
	}
	value, ok := at.(T)
	if !ok {
		t.Fatalf("%v is %v in %v", path, at, answer)
	}
	return value
}

// read calls every tool that changes nothing.
func (j *journey) read() {
	j.t.Helper()
	j.do("ping", nil, "Chimpy")
	j.do("get_account", nil, "Analytical Engines Ltd")
	audience := of[string](j.t, j.do("list_audiences", args{"count": 1}, "Analytical Engines Ltd news"), "audiences", 0, "id")
	j.do("get_audience", args{"audience_id": audience}, "Analytical Engines Ltd news")
	j.do("list_audience_growth", args{"audience_id": audience, "count": 1}, "subscribed")
	j.do("list_merge_fields", args{"audience_id": audience}, "FNAME")
	j.readMembers(audience)
	j.readCampaigns(audience)
}

func (j *journey) readMembers(audience string) {
	j.t.Helper()
	listed := j.do("list_members", args{"audience_id": audience, "status": "subscribed", "count": 5}, "next_offset")
	email := of[string](j.t, listed, "members", 0, "email_address")
	j.do("get_member", args{"audience_id": audience, "email_address": email}, email)
	j.do("search_members", args{"query": email}, email)
	j.do("list_tags", args{"audience_id": audience}, "Newsletter")
	j.do("list_member_tags", args{"audience_id": audience, "email_address": email})
	segment := of[float64](j.t, j.do("list_segments", args{"audience_id": audience, "type": "saved"}, "Keen readers"), "segments", 0, "id")
	j.do("get_segment", args{"audience_id": audience, "segment_id": segment})
	j.do("list_segment_members", args{"audience_id": audience, "segment_id": segment, "count": 1}, "@example.com")
}

func (j *journey) readCampaigns(audience string) {
	j.t.Helper()
	drafts := j.do("list_campaigns", args{"audience_id": audience, "status": "save"}, "A giant leap")
	j.do("get_send_checklist", args{"campaign_id": of[string](j.t, drafts, "campaigns", 0, "id")}, "is_ready")
	sent := args{"campaign_id": of[string](j.t, j.do("list_campaigns", args{"status": "sent", "count": 1}), "campaigns", 0, "id")}
	j.do("search_campaigns", args{"query": "bugs"}, "Seventy years of bugs")
	j.do("get_campaign", sent, "Seventy years of bugs")
	j.do("get_campaign_content", sent, "the story")
	j.do("list_reports", nil, "Seventy years of bugs")
	j.do("get_report", sent, "Seventy years of bugs")
	j.do("get_report_details", args{"campaign_id": sent["campaign_id"], "detail": "clicks"}, "https://")
}

// change calls every tool that changes something.
func (j *journey) change() {
	j.t.Helper()
	audience := of[string](j.t, j.do("list_audiences", args{"count": 1}), "audiences", 0, "id")
	kay := args{"audience_id": audience, "email_address": "kay.mcnulty@example.org"}
	with := func(more args) args {
		all := maps.Clone(kay)
		maps.Copy(all, more)
		return all
	}
	j.do("add_or_update_member", with(args{"status_if_new": "subscribed", "merge_fields": args{"FNAME": "Kay"}}), "subscribed")
	j.do("update_member_tags", with(args{"add": []string{"Pioneers"}}), "Pioneers")
	j.do("list_member_tags", kay, "Pioneers")
	made := j.do("create_segment", args{"audience_id": audience, "name": "Programmers", "email_addresses": []string{"kay.mcnulty@example.org"}}, "Programmers")
	segment := of[float64](j.t, made, "id")
	j.do("update_segment_members", args{"audience_id": audience, "segment_id": segment, "remove": []string{"kay.mcnulty@example.org"}}, `"total_removed":1`)
	j.changeCampaigns(audience)
	j.do("archive_member", kay, "archived")
	j.do("get_member", kay, "archived")
}

func (j *journey) changeCampaigns(audience string) {
	j.t.Helper()
	draft := of[string](j.t, j.do("create_campaign_draft", args{"audience_id": audience, "subject_line": "ENIAC", "title": "ENIAC"}), "campaign_id")
	named := func(more args) args {
		all := args{"campaign_id": draft}
		maps.Copy(all, more)
		return all
	}
	j.do("update_campaign", named(args{"subject_line": "Six programmers"}), "Six programmers")
	j.do("set_campaign_content", named(args{"html": `<p>Hello *|FNAME|*</p><a href="*|UNSUB|*">Unsubscribe</a>`}))
	j.do("get_campaign_content", named(nil), "Hello")
	j.do("send_test_email", named(args{"email_addresses": []string{"ada@example.com"}}), "ada@example.com")
	inAWeek := time.Now().UTC().AddDate(0, 0, 7).Truncate(time.Hour).Format(time.RFC3339)
	j.do("schedule_campaign", named(args{"schedule_time": inAWeek}), "schedule")
	j.do("get_campaign", named(nil), `"status":"schedule"`)
	j.do("unschedule_campaign", named(nil), "save")
	j.do("delete_campaign_draft", named(nil), "deleted")
}

// TestEveryToolWorksWithEveryClient calls all that a server lists.
func TestEveryToolWorksWithEveryClient(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]kind{"2025-11-25": {SDK: 1}, "2026-07-28": {SDK: 2}} {
		for way, start := range ways() {
			t.Run(way+"/"+name, func(t *testing.T) {
				t.Parallel()
				j := &journey{t, openClient(t, k, start(t, connectedStack(t), "--allow-writes")), map[string]bool{}}
				listed := map[string]bool{}
				for _, tool := range j.c.tools() {
					listed[tool.Name] = true
				}
				j.read()
				j.change()
				if diff := cmp.Diff(slices.Sorted(maps.Keys(listed)), slices.Sorted(maps.Keys(j.called))); diff != "" {
					t.Errorf("the tools that are listed, and those that were called (-listed +called):\n%s", diff)
				}
				j.c.close()
			})
		}
	}
}

// connectedStack is a vault with alice's account.
func connectedStack(t *testing.T) *vaulttest.Stack {
	t.Helper()
	s := vaulttest.New(t, vaulttest.Config{})
	if status, body := s.Connect(person, "mailchimp", vaulttest.Ada); status != http.StatusOK {
		t.Fatalf("alice was not connected: %d %s", status, body)
	}
	return s
}

func TestNothingCanBeChangedUnlessTheServerIsToldSo(t *testing.T) {
	t.Parallel()
	for way, start := range ways() {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			c := openClient(t, kind{SDK: 2}, start(t, connectedStack(t)))
			tools := c.tools()
			for _, tool := range tools {
				if !tool.ReadOnly {
					t.Errorf("%s changes something, and is listed", tool.Name)
				}
			}
			if len(tools) == 0 {
				t.Error("no tools are listed, want those that read")
			}
			c.call("delete_campaign_draft", args{"campaign_id": "5eed5eed"})
			if e := c.next(); e.Error == nil {
				t.Errorf("a tool that is not listed ends with %s, want an error of the protocol", describe(e))
			}
			c.close()
		})
	}
}

// ways are how clients reach a server.
func ways() map[string]func(*testing.T, *vaulttest.Stack, ...string) server {
	return map[string]func(*testing.T, *vaulttest.Stack, ...string) server{
		"stdio": overStdio,
		"HTTP": func(t *testing.T, s *vaulttest.Stack, flags ...string) server {
			return overHTTP(t, s, vaulttest.NewIssuer(t, nil), flags...)
		},
	}
}

// TestNullIsNoArguments guards servers from clients that pass on what a model has left
// out: the SDK for Go would end the process.
func TestNullIsNoArguments(t *testing.T) {
	t.Parallel()
	for way, start := range ways() {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			c := openClient(t, kind{SDK: 2}, start(t, connectedStack(t)))
			c.order(args{"call": args{"name": "list_audiences", "arguments": nil}})
			wantLists(t, c.result())
			c.close()
		})
	}
}
