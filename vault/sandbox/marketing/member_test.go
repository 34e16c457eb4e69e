package marketing_test

import (
	"crypto/md5"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func hashOf(email string) string {
	sum := md5.Sum([]byte(strings.ToLower(email)))
	return hex.EncodeToString(sum[:])
}

func TestMembersAreFoundByHashAddressAndContactID(t *testing.T) {
	a := newAccount(t, nil)
	members := a.news() + "/members"
	first := a.get(members)
	email := first.text("members", 0, "email_address")
	for name, key := range map[string]string{
		"hash": hashOf(email), "hash in capitals": strings.ToUpper(hashOf(email)), "address": email, "address in capitals": strings.ToUpper(email),
		"address, encoded": strings.ReplaceAll(email, "@", "%40"), "contact id": first.text("members", 0, "contact_id"),
	} {
		if got := a.get(members + "/" + key).text("email_address"); got != email {
			t.Errorf("by %s: %q, want %q", name, got, email)
		}
	}
	a.do("GET", members+"/"+hashOf("A"+email), nil).refused(404, "Resource Not Found", "")
}

func TestMembersAreFiltered(t *testing.T) {
	a := newAccount(t, nil)
	path := a.news() + "/members"
	count := func(params ...string) int { t.Helper(); return a.get(path, params...).number("total_items") }
	all := count()
	sum := 0
	for _, status := range []string{"subscribed", "unsubscribed", "cleaned", "pending", "transactional"} {
		n := count("status", status)
		if n == 0 {
			t.Errorf("no member is %s", status)
		}
		sum += n
	}
	if sum != all || count("status", "archived") == 0 {
		t.Errorf("%d members have a status, and %d are listed; %d are archived", sum, all, count("status", "archived"))
	}
	dates := a.get(path, "count", "1000", "sort_field", "last_changed", "sort_dir", "ASC").each("members", "last_changed")
	if !slices.IsSorted(dates) {
		t.Error("members are not sorted by last_changed")
	}
	middle := dates[len(dates)/2]
	if since, before := count("since_last_changed", middle), count("before_last_changed", middle); since == 0 || before == 0 || since+before >= all {
		t.Errorf("%d changed after %s and %d before, of %d; the one of that second is in neither", since, middle, before, all)
	}
	down := a.get(path, "count", "1000", "sort_field", "last_changed", "sort_dir", "DESC").each("members", "last_changed")
	slices.Reverse(down)
	if diff := cmp.Diff(dates, down); diff != "" {
		t.Errorf("DESC is not ASC turned round (-ASC +DESC):\n%s", diff)
	}
	if vips := count("vip_only", "true"); vips == 0 || vips == all {
		t.Errorf("%d of %d are VIPs", vips, all)
	}
	a.do("GET", path+"?unsubscribed_since=2015-10-21", nil).refused(400, "Bad Request", "unsubscribed")
}

func TestAMemberIsAddedOnce(t *testing.T) {
	a := newAccount(t, nil)
	path, email := a.news()+"/members", "Hedy@example.com"
	before := a.get(path).number("total_items")
	r := a.do("POST", path, fields{
		"email_address": email, "status": "subscribed", "tags": []string{"Customer", "Inventor"}, "merge_fields": fields{"FNAME": "Hedy", "LNAME": "Lamarr"},
	}).ok(200)
	if r.text("id") != hashOf(email) || r.text("full_name") != "Hedy Lamarr" || r.number("tags_count") != 2 || r.text("timestamp_opt") == "" {
		t.Errorf("added %v", r.body)
	}
	a.do("POST", path, fields{"email_address": strings.ToLower(email), "status": "pending"}).refused(400, "Member Exists", "is already a list member")
	if after := a.get(path).number("total_items"); after != before+1 {
		t.Errorf("%d members, want %d", after, before+1)
	}
}

func TestPutAddsOrChanges(t *testing.T) {
	a := newAccount(t, nil)
	const email = "hedy@example.com"
	path := a.news() + "/members/" + hashOf(email)
	a.do("PUT", path, fields{"email_address": email, "status": "subscribed"}).refused(400, "Invalid Resource", "status_if_new")
	a.do("PUT", a.news()+"/members/"+hashOf("H"+email), fields{"email_address": email, "status_if_new": "subscribed"}).refused(400, "Invalid Resource", "MD5")
	if got := a.do("PUT", path, fields{"email_address": email, "status_if_new": "pending"}).ok(200).text("status"); got != "pending" {
		t.Errorf("added with status %q, want pending", got)
	}
	r := a.do("PUT", path, fields{"email_address": email, "status_if_new": "pending", "status": "subscribed", "vip": true}).ok(200)
	if r.text("status") != "subscribed" || r.at("vip") != true {
		t.Errorf("changed to %v", r.body)
	}
	other := a.get(a.news()+"/members").text("members", 0, "email_address")
	a.do("PUT", path, fields{"email_address": other}).refused(400, "Member Exists", other)
	a.do("PUT", path, fields{"email_address": "lamarr@example.com"}).ok(200)
	a.do("GET", path, nil).refused(404, "Resource Not Found", "")
	if got := a.get(a.news() + "/members/" + hashOf("lamarr@example.com")).at("vip"); got != true {
		t.Errorf("under the new address, vip is %v", got)
	}
}

func TestARefusedChangeChangesNothing(t *testing.T) {
	a := newAccount(t, nil)
	path := a.news() + "/members/" + a.get(a.news()+"/members").text("members", 0, "id")
	before := a.get(path)
	a.do("PATCH", path, fields{"status": "unsubscribed", "language": "de", "merge_fields": fields{"FNAME": "X"}, "timestamp_opt": "now"}).refused(400, "Invalid Resource", "timestamp_opt")
	a.do("PATCH", path, fields{"language": "de", "merge_fields": fields{"FNAME": "X", "NIX": "x"}}).refused(400, "Invalid Resource", "NIX")
	if diff := cmp.Diff(before.body, a.get(path).body); diff != "" {
		t.Errorf("the member has changed (-before +after):\n%s", diff)
	}
}

func TestOnlyTheyThemselvesComeBack(t *testing.T) {
	a := newAccount(t, nil)
	path := a.news() + "/members"
	for _, status := range []string{"unsubscribed", "cleaned"} {
		member := path + "/" + a.get(path, "status", status).text("members", 0, "id")
		a.do("PATCH", member, fields{"status": "subscribed"}).refused(400, "Member In Compliance State", "compliance state")
		a.do("PATCH", member, fields{"status": "pending"}).ok(200)
	}
	// One whom the account has unsubscribed comes back.
	member := path + "/" + a.get(path, "status", "subscribed").text("members", 0, "id")
	a.clock.add(time.Hour)
	r := a.do("PATCH", member, fields{"status": "unsubscribed"}).ok(200)
	if r.text("unsubscribe_reason") == "" || r.text("last_changed") != "2026-11-28T10:07:00+00:00" {
		t.Errorf("unsubscribed as %v", r.body)
	}
	a.do("PATCH", member, fields{"status": "subscribed"}).ok(200)
}

func TestArchivedMembersCanBeAddedAgainAndDeletedOnesCannot(t *testing.T) {
	a := newAccount(t, nil)
	path := a.news() + "/members"
	email := a.get(path).text("members", 0, "email_address")
	member := path + "/" + hashOf(email)
	if r := a.do("DELETE", member, nil).ok(204); r.size != 0 {
		t.Errorf("DELETE answers %v", r.body)
	}
	if got := a.get(member).text("status"); got != "archived" {
		t.Errorf("status is %q, want archived", got)
	}
	a.do("DELETE", member, nil).refused(405, "Method Not Allowed", "cannot be removed")
	a.do("PUT", member, fields{"email_address": email, "status": "subscribed", "status_if_new": "subscribed"}).ok(200)

	a.do("POST", member+"/actions/delete-permanent", nil).ok(204)
	a.do("GET", member, nil).refused(404, "Resource Not Found", "")
	a.do("POST", path, fields{"email_address": email, "status": "subscribed"}).refused(400, "Forgotten Email Not Subscribed", "permanently deleted")
	a.do("PUT", member, fields{"email_address": email, "status_if_new": "subscribed"}).refused(400, "Forgotten Email Not Subscribed", "permanently deleted")
}

func TestMembersAreSearched(t *testing.T) {
	a := newAccount(t, nil)
	first := a.get(a.news() + "/members")
	email, name := first.text("members", 0, "email_address"), first.text("members", 0, "full_name")
	for _, row := range []struct {
		name, query    string
		exact, partial bool
	}{
		{"an address", email, true, true}, {"an address in capitals", strings.ToUpper(email), true, true}, {"a name", name, true, true},
		{"a part of a name", name[:5], false, true}, {"nobody", "nobody at all", false, false},
	} {
		r := a.get("/search-members", "query", row.query)
		if exact, partial := r.number("exact_matches", "total_items") > 0, r.number("full_search", "total_items") > 0; exact != row.exact || partial != row.partial {
			t.Errorf("%s: exact %v, partial %v, want %v and %v", row.name, exact, partial, row.exact, row.partial)
		}
	}
	both := a.get("/search-members", "query", "example").number("full_search", "total_items")
	one := a.get("/search-members", "query", "example", "list_id", strings.TrimPrefix(a.news(), "/lists/")).number("full_search", "total_items")
	if one == 0 || one >= both {
		t.Errorf("%d are found in one list, and %d in both", one, both)
	}
}

func TestABatchTakesWhatItCan(t *testing.T) {
	a := newAccount(t, nil)
	news := a.news()
	there := a.get(news+"/members").text("members", 0, "email_address")
	batch := func(existing bool) reply {
		return a.do("POST", news, fields{"update_existing": existing, "members": []fields{
			{"email_address": "hedy@example.com", "status": "subscribed", "tags": []string{"Inventor"}},
			{"email_address": "nobody", "status": "subscribed"},
			{"email_address": there, "status": "subscribed", "merge_fields": fields{"FNAME": "Changed"}},
		}}).ok(200)
	}
	if r := batch(false); r.number("total_created") != 1 || r.number("total_updated") != 0 || r.number("error_count") != 2 {
		t.Errorf("without update_existing: %v", r.body)
	}
	if got := a.get(news+"/members/"+there).text("merge_fields", "FNAME"); got == "Changed" {
		t.Error("a member was changed without update_existing")
	}
	if r := batch(true); r.number("total_created") != 0 || r.number("total_updated") != 2 || r.number("error_count") != 1 || r.text("errors", 0, "email_address") != "nobody" {
		t.Errorf("with update_existing: %v", r.body)
	}
	if got := a.get(news+"/members/hedy@example.com/tags").each("tags", "name"); !slices.Contains(got, "Inventor") {
		t.Errorf("tags are %v, want Inventor among them", got)
	}
}
