package tools

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/marketing"
)

func (r *registry) addMembers() {
	add(r, tool{
		name: "list_members", title: "List members",
		fields:      "merge_fields, timestamp_signup, tags, unsubscribe_reason",
		description: "Lists an audience's members, with filters. To find one person, use get_member or search_members; for those with a tag, list_segment_members.",
	}, listMembers)
	add(r, tool{
		name: "get_member", title: "Get a member",
		fields:      "ip_signup, location, interests",
		description: "Returns one member of an audience by e-mail address: status, name and other merge fields, tags, how often they open and click.",
	}, getMember)
	add(r, tool{
		name: "search_members", title: "Search members",
		description: "Finds members by e-mail address or name, or parts of them, in all audiences or one. Exact matches come first. Mailchimp finds about 30 at most.",
	}, searchMembers)
	add(r, tool{
		name: "add_or_update_member", title: "Add or update a member", effect: replaces,
		description: "Adds a person to an audience, or changes the member who has this e-mail address. What is left out stays as it is. " +
			"Somebody new needs status_if_new: subscribed only where the person has agreed to get e-mail, otherwise pending, which has Mailchimp ask them to confirm. Who is archived needs status.",
	}, addOrUpdateMember)
	add(r, tool{
		name: "archive_member", title: "Archive a member", effect: replaces,
		description: "Archives a member: they get no more campaigns and count no more, their data stays and they can be added again. To record that somebody does not want e-mail, use add_or_update_member with status unsubscribed.",
	}, archiveMember)
}

// memberFields are what lists of members have.
func memberFields(container string) selection {
	return selection{container: container, id: []string{"email_address"}, usual: []string{"full_name", "status"}}
}

type listMembersInput struct {
	audience
	Status        string `json:"status,omitempty" jsonschema:"Left out: members with any status." enum:"subscribed,unsubscribed,cleaned,pending,transactional,archived"`
	JoinedSince   string `json:"joined_since,omitempty" jsonschema:"Only members who joined (timestamp_opt) since then, such as 2026-07-01 or 2026-07-01T09:30:00Z."`
	JoinedBefore  string `json:"joined_before,omitempty" jsonschema:"Only members who joined before then."`
	ChangedSince  string `json:"changed_since,omitempty" jsonschema:"Only members changed in any way since then."`
	ChangedBefore string `json:"changed_before,omitempty" jsonschema:"Only members changed before then."`
	VIPOnly       bool   `json:"vip_only,omitempty" jsonschema:"Whether to list VIPs only."`
	SortBy        string `json:"sort_by,omitempty" jsonschema:"Left out: Mailchimp's own order." enum:"timestamp_opt,timestamp_signup,last_changed"`
	Order         string `json:"order,omitempty" jsonschema:"desc has the newest first." enum:"asc,desc" default:"desc"`
	paging
	choice
}

func listMembers(ctx context.Context, c *marketing.Client, in listMembersInput) (answer, error) {
	path, err := in.within("members")
	if err != nil {
		return nil, err
	}
	query, err := in.query()
	if err != nil {
		return nil, err
	}
	return list{path: path, query: query, pick: in.pick(), page: in.paging}.get(ctx, c, in.Fields)
}

// query is the filters as the API has them.
func (in listMembersInput) query() (url.Values, error) {
	query := url.Values{}
	if in.Status != "" {
		query.Set("status", in.Status)
	}
	if in.VIPOnly {
		query.Set("vip_only", "true")
	}
	if in.SortBy != "" {
		query.Set("sort_field", in.SortBy)
		query.Set("sort_dir", strings.ToUpper(in.Order))
	}
	return query, errors.Join(
		setInstant(query, "since_timestamp_opt", "joined_since", in.JoinedSince),
		setInstant(query, "before_timestamp_opt", "joined_before", in.JoinedBefore),
		setInstant(query, "since_last_changed", "changed_since", in.ChangedSince),
		setInstant(query, "before_last_changed", "changed_before", in.ChangedBefore))
}

// pick has the times that the list is of, too.
func (in listMembersInput) pick() selection {
	pick := memberFields("members")
	if in.JoinedSince+in.JoinedBefore != "" {
		pick.usual = append(pick.usual, "timestamp_opt")
	}
	if in.ChangedSince+in.ChangedBefore != "" {
		pick.usual = append(pick.usual, "last_changed")
	}
	if in.SortBy != "" {
		pick.usual = append(pick.usual, in.SortBy)
	}
	return pick
}

// member is what all tools take that work on one.
type member struct {
	audience
	EmailAddress string `json:"email_address" jsonschema:"The member's e-mail address."`
}

// own returns a path of the member's.
func (m member) own(parts ...string) (marketing.Path, error) {
	hash, err := marketing.SubscriberHash(m.EmailAddress)
	if err != nil {
		return marketing.Path{}, err
	}
	return m.within(append([]string{"members", hash}, parts...)...)
}

type getMemberInput struct {
	member
	choice
}

func getMember(ctx context.Context, c *marketing.Client, in getMemberInput) (answer, error) {
	path, err := in.own()
	if err != nil {
		return nil, err
	}
	return wholeMember(ctx, c, path, in.Fields)
}

func wholeMember(ctx context.Context, c *marketing.Client, path marketing.Path, fields []string) (answer, error) {
	return selection{
		id: []string{"email_address"},
		usual: []string{"full_name", "status", "unsubscribe_reason", "merge_fields", "tags", "stats.avg_open_rate", "stats.avg_click_rate", "member_rating", "vip", "language",
			"timestamp_signup", "timestamp_opt", "last_changed", "source"},
	}.one(ctx, c, path, fields)
}

type searchMembersInput struct {
	Query      string `json:"query" jsonschema:"An e-mail address, a name, or the beginning of one." min:"1" max:"254"`
	AudienceID string `json:"audience_id,omitempty" jsonschema:"Only in this audience. Left out: in all."`
	Count      int    `json:"count,omitempty" jsonschema:"How many to return." min:"1" max:"1000" default:"20"`
}

func searchMembers(ctx context.Context, c *marketing.Client, in searchMembersInput) (answer, error) {
	path, err := marketing.NewPath("search-members")
	if err != nil {
		return nil, err
	}
	query := url.Values{"query": {in.Query}}
	if in.AudienceID != "" {
		query.Set("list_id", in.AudienceID)
	}
	var fields []string
	for _, kind := range []string{"exact_matches", "full_search"} {
		fields = append(fields, kind+".total_items")
		for _, field := range []string{"email_address", "full_name", "status", "list_id"} {
			fields = append(fields, kind+".members."+field)
		}
	}
	query.Set("fields", strings.Join(fields, ","))
	got, err := c.Get(ctx, path, query)
	if err != nil {
		return nil, err
	}
	found := mergeMatches(got["exact_matches"], got["full_search"])
	return answer{"members": found[:min(len(found), in.Count)], "found": len(found)}, nil
}

// mergeMatches makes one list of both, in which nobody is twice, and says audience_id as
// the tools' parameters do.
func mergeMatches(groups ...any) []any {
	all, seen := []any{}, map[string]bool{}
	for _, group := range groups {
		group, _ := group.(map[string]any)
		members, _ := group["members"].([]any)
		for _, m := range members {
			m, _ := m.(map[string]any)
			key := fmt.Sprint(m["list_id"], " ", m["email_address"])
			if m == nil || seen[key] {
				continue
			}
			seen[key] = true
			m["audience_id"] = m["list_id"]
			delete(m, "list_id")
			all = append(all, m)
		}
	}
	return all
}

type addOrUpdateMemberInput struct {
	member
	StatusIfNew string         `json:"status_if_new,omitempty" jsonschema:"The status where they are not in the audience yet. Needed to add somebody; without effect on who is there." enum:"subscribed,pending,unsubscribed,transactional"`
	Status      string         `json:"status,omitempty" jsonschema:"The status from now on, also of those who are there." enum:"subscribed,unsubscribed,cleaned,pending"`
	MergeFields map[string]any `json:"merge_fields,omitempty" jsonschema:"Values by merge tag (list_merge_fields has them), such as {\"FNAME\": \"Urist\"}."`
	Language    string         `json:"language,omitempty" jsonschema:"The member's language, such as en or pt_BR." max:"8"`
	VIP         *bool          `json:"vip,omitempty" jsonschema:"Whether the member is a VIP."`
}

func addOrUpdateMember(ctx context.Context, c *marketing.Client, in addOrUpdateMemberInput) (answer, error) {
	path, err := in.own()
	if err != nil {
		return nil, err
	}
	body := map[string]any{"email_address": strings.TrimSpace(in.EmailAddress)}
	setTexts(body, "status", in.Status, "language", in.Language, "status_if_new", in.StatusIfNew)
	if len(in.MergeFields) > 0 {
		body["merge_fields"] = in.MergeFields
	}
	if in.VIP != nil {
		body["vip"] = *in.VIP
	}
	method := http.MethodPut
	if in.StatusIfNew == "" { // Mailchimp wants it of a PUT
		method = http.MethodPatch
	}
	got, err := c.Do(ctx, marketing.Request{Method: method, Path: path, Body: body})
	if err != nil {
		if e, ok := errors.AsType[*marketing.Error](err); ok && e.Status == http.StatusNotFound {
			return nil, fmt.Errorf("%w; to add this person, set status_if_new", explain(err))
		}
		return nil, err
	}
	a := some(got, "email_address", "full_name", "status", "merge_fields", "vip", "language", "last_changed")
	if status, _ := got["status"].(string); in.Status == "" && in.StatusIfNew != "" && status != in.StatusIfNew {
		a["note"] = fmt.Sprintf("they were in the audience before, with the status %s: status_if_new does not change it, status does", status)
	}
	return a, nil
}

type archiveMemberInput struct{ member }

func archiveMember(ctx context.Context, c *marketing.Client, in archiveMemberInput) (answer, error) {
	path, err := in.own()
	if err != nil {
		return nil, err
	}
	if _, err := c.Do(ctx, marketing.Request{Method: http.MethodDelete, Path: path}); err != nil {
		return nil, err
	}
	return answer{"email_address": in.EmailAddress, "audience_id": in.AudienceID, "status": "archived"}, nil
}
