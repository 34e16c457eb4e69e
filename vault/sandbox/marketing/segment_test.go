package marketing_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTagsAreGivenAndTaken(t *testing.T) {
	a := newAccount(t, nil)
	news := a.news()
	member := news + "/members/" + a.get(news+"/members").text("members", 0, "id")
	a.do("POST", member+"/tags", fields{"tags": []fields{{"name": "Inventor", "status": "active"}, {"name": "nix", "status": "inactive"}}}).ok(204)
	tags := a.get(member + "/tags")
	if names := tags.each("tags", "name"); !slices.Contains(names, "Inventor") || slices.Contains(names, "nix") {
		t.Errorf("tags are %v, want Inventor among them and not nix", names)
	}
	found := a.get(news+"/tag-search", "name", "inv")
	if diff := cmp.Diff([]string{"Inventor"}, found.each("tags", "name")); diff != "" {
		t.Errorf("tags that begin with inv (-want +got):\n%s", diff)
	}
	segment := fmt.Sprintf("%s/segments/%d", news, found.number("tags", 0, "id"))
	if got := a.get(segment); got.text("type") != "static" || got.number("member_count") != 1 {
		t.Errorf("the tag as a segment is %v", got.body)
	}
	a.do("POST", member+"/tags", fields{"tags": []fields{{"name": "INVENTOR", "status": "inactive"}}}).ok(204)
	if names := a.get(member+"/tags").each("tags", "name"); slices.Contains(names, "Inventor") {
		t.Errorf("tags are %v, want no Inventor", names)
	}
	a.do("POST", member+"/tags", fields{"tags": []fields{{"name": "Inventor"}}}).refused(400, "Invalid Resource", "status")
}

func TestAStaticSegmentHasWhoIsPutThere(t *testing.T) {
	a := newAccount(t, nil)
	news := a.news()
	emails := a.get(news+"/members", "status", "subscribed").each("members", "email_address")
	made := a.do("POST", news+"/segments", fields{"name": "Three", "static_segment": []string{emails[0], emails[1], "nobody@example.com"}}).ok(200)
	path := fmt.Sprintf("%s/segments/%d", news, made.number("id"))
	members := func(want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, a.get(path+"/members").each("members", "email_address")); diff != "" {
			t.Errorf("members (-want +got):\n%s", diff)
		}
	}
	members(emails[0], emails[1])
	batch := a.do("POST", path, fields{"members_to_add": []string{emails[2], "nobody@example.com"}, "members_to_remove": []string{emails[0]}}).ok(200)
	if batch.number("total_added") != 1 || batch.number("total_removed") != 1 || batch.number("error_count") != 1 {
		t.Errorf("the batch did %v", batch.body)
	}
	members(emails[1], emails[2])
	a.do("POST", path+"/members", fields{"email_address": emails[0]}).ok(200)
	a.do("DELETE", path+"/members/"+hashOf(emails[1]), nil).ok(204)
	a.do("DELETE", path+"/members/"+hashOf(emails[1]), nil).refused(404, "Resource Not Found", "")
	members(emails[0], emails[2])
	a.do("PATCH", path, fields{"name": "Two"}).ok(200)
	if got := a.get(path); got.text("name") != "Two" || got.number("member_count") != 2 {
		t.Errorf("the segment is %v", got.body)
	}
	a.do("POST", news+"/segments", fields{"name": "two", "static_segment": []string{}}).refused(400, "Bad Request", "already exists")
	a.do("DELETE", path, nil).ok(204)
	a.do("GET", path, nil).refused(404, "Resource Not Found", "")
}

func TestASavedSegmentHasWhoMeetsItsConditions(t *testing.T) {
	a := newAccount(t, nil)
	news := a.news()
	for _, row := range []struct {
		name, match string
		conditions  []fields
		is          func(reply, int) bool
	}{
		{"a name", "all", []fields{{"condition_type": "TextMerge", "field": "LNAME", "op": "is", "value": "Lovelace"}},
			func(r reply, i int) bool { return r.text("members", i, "merge_fields", "LNAME") == "Lovelace" }},
		{"any of two", "any", []fields{{"field": "LNAME", "op": "is", "value": "Lovelace"}, {"field": "LNAME", "op": "starts", "value": "Kn"}},
			func(r reply, i int) bool {
				return slices.Contains([]string{"Lovelace", "Knuth"}, r.text("members", i, "merge_fields", "LNAME"))
			}},
		{"a rating", "all", []fields{{"condition_type": "MemberRating", "field": "rating", "op": "greater", "value": "4"}},
			func(r reply, i int) bool { return r.number("members", i, "member_rating") > 4 }},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := a.in(t)
			made := a.do("POST", news+"/segments", fields{"name": row.name, "options": fields{"match": row.match, "conditions": row.conditions}}).ok(200)
			r := a.get(fmt.Sprintf("%s/segments/%d/members", news, made.number("id")), "count", "1000")
			all := a.get(news+"/members", "status", "subscribed", "count", "1000")
			want := 0
			for i := range all.list("members") {
				if row.is(all, i) {
					want++
				}
			}
			if got := r.number("total_items"); got != want || got == 0 || made.number("member_count") != got {
				t.Errorf("%d members, member_count %d, want %d", got, made.number("member_count"), want)
			}
			for i := range r.list("members") {
				if !row.is(r, i) {
					t.Errorf("%s is in the segment", r.text("members", i, "full_name"))
				}
			}
			a.do("POST", fmt.Sprintf("%s/segments/%d", news, made.number("id")), fields{"members_to_add": []string{"x@example.com"}}).refused(400, "Bad Request", "static")
		})
	}
	a.do("POST", news+"/segments", fields{"name": "x", "options": fields{"conditions": []fields{{"condition_type": "Aim", "field": "aim", "op": "open", "value": "any"}}}}).refused(400, "Invalid Resource", "Aim")
	a.do("POST", news+"/segments", fields{"name": "x"}).refused(400, "Invalid Resource", "static_segment")
	for _, kind := range []string{"static", "saved"} {
		if a.get(news+"/segments", "type", kind).number("total_items") == 0 {
			t.Errorf("the list begins with no segment that is %s", kind)
		}
	}
}
