package marketing_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEveryLinkOfAnAnswerLeadsSomewhere(t *testing.T) {
	a := newAccount(t, nil)
	seen := map[string]bool{}
	var follow func(path string, node any)
	visit := func(href string) {
		path, inside := strings.CutPrefix(href, a.base)
		if !inside {
			t.Errorf("a link leads to %s, which is not in the API at %s", href, a.base)
		}
		if seen[path] || len(seen) > 300 {
			return
		}
		seen[path] = true
		if strings.HasPrefix(path, "/search-") {
			path += "?query=ada"
		}
		follow(path, a.get(path).body)
	}
	follow = func(path string, node any) {
		switch node := node.(type) {
		case []any:
			for _, item := range node {
				follow(path, item)
			}
		case map[string]any:
			if node["method"] == "GET" && node["rel"] != nil {
				visit(fmt.Sprint(node["href"]))
			}
			for _, member := range node {
				follow(path, member)
			}
		}
	}
	visit(a.base + "/")
	if len(seen) < 100 {
		t.Errorf("%d links were followed, want more", len(seen))
	}
}

func TestFieldsMakeAnswersSmall(t *testing.T) {
	a := newAccount(t, nil)
	path := a.news() + "/members"
	whole := a.get(path, "count", "100")
	part := a.get(path, "count", "100", "fields", "members.email_address,members.status,total_items")
	if part.size*10 > whole.size {
		t.Errorf("100 members are %d bytes, and %d with fields; want a tenth at most", whole.size, part.size)
	}
	want := map[string]any{"email_address": whole.text("members", 0, "email_address"), "status": "subscribed"}
	if diff := cmp.Diff(want, part.at("members", 0)); diff != "" {
		t.Errorf("the first member (-want +got):\n%s", diff)
	}
	if got := a.get(path, "exclude_fields", "members,_links"); got.at("members") != nil || got.at("_links") != nil || got.number("total_items") == 0 {
		t.Errorf("exclude_fields=members,_links leaves %v", got.body)
	}
}

func TestPagesHoldEveryMemberOnce(t *testing.T) {
	a := newAccount(t, nil)
	path := a.news() + "/members"
	total := a.get(path).number("total_items")
	if total < 200 {
		t.Fatalf("the list has %d members, want 200 at least", total)
	}
	var all []string
	for offset := 0; offset < total; offset += 60 {
		page := a.get(path, "count", "60", "offset", fmt.Sprint(offset), "fields", "members.id")
		all = append(all, page.each("members", "id")...)
	}
	whole := a.get(path, "count", "1000", "fields", "members.id").each("members", "id")
	if diff := cmp.Diff(whole, all); diff != "" || len(whole) != total {
		t.Errorf("pages of 60 differ from one of %d, total_items %d (-whole +pages):\n%s", len(whole), total, diff)
	}
	for _, row := range []struct {
		name, count, offset string
		want                int
	}{
		{"no count", "", "", 10}, {"no more than there are", "50", fmt.Sprint(total - 3), 3}, {"behind the end", "", "5000", 0}, {"none", "0", "", 0},
	} {
		if got := len(a.get(path, "count", row.count, "offset", row.offset).list("members")); got != row.want {
			t.Errorf("%s: %d members, want %d", row.name, got, row.want)
		}
	}
}

func TestParametersAreChecked(t *testing.T) {
	a := newAccount(t, nil)
	news := a.news()
	for _, row := range []struct{ name, path, words string }{
		{"count too large", "/lists?count=1001", "count"},
		{"count below zero", "/lists?count=-1", "count"},
		{"count no number", "/lists?count=all", "count"},
		{"offset no number", "/lists?offset=x", "offset"},
		{"a misspelt parameter", "/lists?page=2", "page"},
		{"a parameter of another resource", "/campaigns?email=x", "email"},
		{"a parameter twice", "/lists?count=1&count=2", "count"},
		{"an unknown status", news + "/members?status=active", "status"},
		{"an unknown sort field", news + "/members?sort_field=email_address", "sort_field"},
		{"a sort direction in lower case", news + "/members?sort_field=last_changed&sort_dir=desc", "sort_dir"},
		{"no time", news + "/members?since_last_changed=yesterday", "since_last_changed"},
		{"a time whose plus sign is not encoded", news + "/members?since_last_changed=2015-10-21T15:41:36+00:00", "%2B"},
		{"no query", "/search-members?query=", "query"},
		{"an unknown campaign status", "/campaigns?status=draft", "status"},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := a.in(t)
			a.do("GET", row.path, nil).refused(400, "Invalid Resource", row.words)
		})
	}
}

func TestWhatIsNotThereIsRefused(t *testing.T) {
	a := newAccount(t, nil)
	news, sent := a.news(), a.campaignIn("sent")
	for _, row := range []struct {
		name, method, path string
		status             int
		title              string
	}{
		{"a list", "GET", "/lists/0000000000", 404, "Resource Not Found"},
		{"a resource", "GET", "/nix", 404, "Resource Not Found"},
		{"a part of a resource", "GET", news + "/nix", 404, "Resource Not Found"},
		{"a member", "GET", news + "/members/nobody@example.com", 404, "Resource Not Found"},
		{"a segment", "GET", news + "/segments/1", 404, "Resource Not Found"},
		{"a campaign", "GET", "/campaigns/nix", 404, "Resource Not Found"},
		{"the report of a draft", "GET", strings.Replace(a.campaignIn("save"), "campaigns", "reports", 1), 404, "Resource Not Found"},
		{"an action", "POST", sent + "/actions/explode", 400, "Invalid Action"},
		{"a method", "DELETE", "/ping", 405, "Method Not Allowed"},
		{"a method of a member", "POST", news + "/members/nobody@example.com", 405, "Method Not Allowed"},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := a.in(t)
			r := a.do(row.method, row.path, nil)
			r.refused(row.status, row.title, "")
			if allow := r.header.Get("Allow"); (allow != "") != (row.status == 405) {
				t.Errorf("Allow is %q", allow)
			}
		})
	}
}

func TestBodiesAreChecked(t *testing.T) {
	a := newAccount(t, nil)
	path := a.news() + "/members"
	for _, row := range []struct {
		name   string
		body   any
		status int
		title  string
		words  string
	}{
		{"nothing", nil, 400, "Invalid Resource", "email_address, status"},
		{"no JSON", `{"email_address":`, 400, "JSON Parse Error", "JSON"},
		{"a form", "email_address=x&status=subscribed", 400, "JSON Parse Error", "JSON"},
		{"an array", []string{"x"}, 400, "Invalid Resource", "Schema describes object, array found instead"},
		{"a field missing", fields{"email_address": "hedy@example.com"}, 400, "Invalid Resource", "Required fields were not provided: status"},
		{"a number for a text", fields{"email_address": 7, "status": "subscribed"}, 400, "Invalid Resource", "Schema describes string, number found instead"},
		{"an unknown value", fields{"email_address": "hedy@example.com", "status": "active"}, 400, "Invalid Resource", "subscribed"},
		{"an unknown field", fields{"email_address": "hedy@example.com", "status": "subscribed", "emailType": "html"}, 400, "Invalid Resource", "emailType"},
		{"a wrong item of an array", fields{"email_address": "hedy@example.com", "status": "subscribed", "tags": []any{"a", 1}}, 400, "Invalid Resource", "tags.item:1"},
		{"an unknown merge field", fields{"email_address": "hedy@example.com", "status": "subscribed", "merge_fields": fields{"NIX": "x"}}, 400, "Invalid Resource", "NIX"},
		{"no address", fields{"email_address": "hedy", "status": "subscribed"}, 400, "Invalid Resource", "valid email address"},
		{"an address with a name", fields{"email_address": "Hedy <hedy@example.com>", "status": "subscribed"}, 400, "Invalid Resource", "valid email address"},
		{"a fake address", fields{"email_address": "hedy@x.invalid", "status": "subscribed"}, 400, "Invalid Resource", "looks fake"},
		{"more than a megabyte", `{"email_address": "` + strings.Repeat("x", 1<<20) + `"}`, 413, "Request Entity Too Large", "1 MiB"},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := a.in(t)
			a.do("POST", path, row.body).refused(row.status, row.title, row.words)
		})
	}
	if got := a.get("/search-members", "query", "hedy@example.com").number("exact_matches", "total_items"); got != 0 {
		t.Errorf("a refused body has added %d members", got)
	}
}

func TestListsTellOfThemselves(t *testing.T) {
	a := newAccount(t, nil)
	lists := a.get("/lists", "include_total_contacts", "true")
	if lists.number("total_items") != 2 {
		t.Fatalf("GET /lists has %v lists, want 2", lists.at("total_items"))
	}
	for i := range 2 {
		path := "/lists/" + lists.text("lists", i, "id")
		for status, count := range map[string]string{"subscribed": "member_count", "unsubscribed": "unsubscribe_count", "cleaned": "cleaned_count"} {
			have := a.get(path+"/members", "status", status).number("total_items")
			if told := lists.number("lists", i, "stats", count); told != have || have == 0 {
				t.Errorf("list %d: %s is %d, and there are %d members %s", i, count, told, have, status)
			}
		}
	}
	tags := a.get(a.news()+"/merge-fields").each("merge_fields", "tag")
	if !slices.Contains(tags, "FNAME") || !slices.Contains(tags, "LNAME") {
		t.Errorf("merge fields are %v, want FNAME and LNAME among them", tags)
	}
	if got := a.get("/lists", "email", "nobody@example.com").number("total_items"); got != 0 {
		t.Errorf("%d lists have nobody@example.com", got)
	}
	for _, part := range []string{"/growth-history", "/activity"} {
		if a.get(a.news()+part).number("total_items") == 0 {
			t.Errorf("GET %s has nothing", part)
		}
	}
}
