package tools

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/marketing"
)

func (r *registry) addSegments() {
	add(r, tool{
		name: "list_segments", title: "List segments",
		description: "Lists the segments of an audience with their IDs and numbers of members. Tags are among them: they are static segments.",
	}, listSegments)
	add(r, tool{
		name: "get_segment", title: "Get a segment",
		description: "Returns one segment of an audience with its conditions.",
	}, getSegment)
	add(r, tool{
		name: "list_segment_members", title: "List a segment's members",
		fields:      "merge_fields, timestamp_signup, tags",
		description: "Lists the members of an audience who are in a segment, or have a tag.",
	}, listSegmentMembers)
	add(r, tool{
		name: "create_segment", title: "Create a segment", effect: adds,
		description: "Makes a segment in an audience: of members with these e-mail addresses, which is a tag, or of all who meet conditions, now and later.",
	}, createSegment)
	add(r, tool{
		name: "update_segment_members", title: "Add and remove a segment's members", effect: replaces,
		description: "Adds up to 500 members to a static segment, which is how many get a tag at once, and removes others from it. They stay in the audience. The answer says who could not be added or removed, and why.",
	}, updateSegmentMembers)
}

type listSegmentsInput struct {
	audience
	Type string `json:"type,omitempty" jsonschema:"saved ones have conditions, static ones are tags. Left out: all." enum:"saved,static,fuzzy"`
	paging
}

func listSegments(ctx context.Context, c *marketing.Client, in listSegmentsInput) (answer, error) {
	path, err := in.within("segments")
	if err != nil {
		return nil, err
	}
	query := url.Values{}
	if in.Type != "" {
		query.Set("type", in.Type)
	}
	return list{path: path, query: query, page: in.paging, pick: selection{
		container: "segments", id: []string{"id", "name"}, usual: []string{"type", "member_count", "updated_at"},
	}}.get(ctx, c, nil)
}

// segment is what all tools take that work on one.
type segment struct {
	audience
	SegmentID int `json:"segment_id" jsonschema:"The segment's ID from list_segments, or a tag's."`
}

func (s segment) own(parts ...string) (marketing.Path, error) {
	return s.within(append([]string{"segments", strconv.Itoa(s.SegmentID)}, parts...)...)
}

type getSegmentInput struct{ segment }

func getSegment(ctx context.Context, c *marketing.Client, in getSegmentInput) (answer, error) {
	path, err := in.own()
	if err != nil {
		return nil, err
	}
	return selection{id: []string{"id", "name"}, usual: []string{"type", "member_count", "created_at", "updated_at", "options"}}.one(ctx, c, path, nil)
}

type listSegmentMembersInput struct {
	segment
	paging
	choice
}

func listSegmentMembers(ctx context.Context, c *marketing.Client, in listSegmentMembersInput) (answer, error) {
	path, err := in.own("members")
	if err != nil {
		return nil, err
	}
	return list{path: path, pick: memberFields("members"), page: in.paging}.get(ctx, c, in.Fields)
}

type createSegmentInput struct {
	audience
	Name           string           `json:"name" jsonschema:"The segment's name." min:"1" max:"100"`
	EmailAddresses []string         `json:"email_addresses,omitempty" jsonschema:"Members of the audience. None makes an empty one." max:"500"`
	Match          string           `json:"match,omitempty" jsonschema:"How many conditions to meet." enum:"all,any" default:"all"`
	Conditions     []map[string]any `json:"conditions,omitempty" jsonschema:"Such as {\"condition_type\": \"TextMerge\", \"field\": \"LNAME\", \"op\": \"is\", \"value\": \"Hopper\"}. Others (condition_type, field, op, value): EmailAddress, EMAIL, contains, a text; StaticSegment, static_segment, static_is or static_not, a tag's id; Aim, aim, open or click or noopen or noclick, any or a campaign's web_id; Date, timestamp_opt, greater or less, date with extra: 2026-07-01." max:"25"`
}

func createSegment(ctx context.Context, c *marketing.Client, in createSegmentInput) (answer, error) {
	path, err := in.within("segments")
	if err != nil {
		return nil, err
	}
	body := map[string]any{"name": in.Name}
	switch {
	case (in.EmailAddresses == nil) == (len(in.Conditions) == 0):
		return nil, errors.New("give either email_addresses, for a static segment, or conditions")
	case in.EmailAddresses != nil:
		body["static_segment"] = in.EmailAddresses
	default:
		body["options"] = map[string]any{"match": in.Match, "conditions": in.Conditions}
	}
	got, err := c.Do(ctx, marketing.Request{Method: http.MethodPost, Path: path, Body: body})
	if err != nil {
		return nil, explainName(err)
	}
	made := some(got, "id", "name", "type", "member_count")
	if in.EmailAddresses == nil {
		made["options"] = got["options"]
	} else if n := number(got["member_count"]); n < len(in.EmailAddresses) {
		made["note"] = fmt.Sprintf("not counted: %d of the %d addresses, which are there twice, not in the audience, or not subscribed", len(in.EmailAddresses)-n, len(in.EmailAddresses))
	}
	return made, nil
}

type updateSegmentMembersInput struct {
	segment
	Add    []string `json:"add,omitempty" jsonschema:"E-mail addresses of members." max:"500"`
	Remove []string `json:"remove,omitempty" jsonschema:"E-mail addresses to remove from the segment." max:"500"`
}

func updateSegmentMembers(ctx context.Context, c *marketing.Client, in updateSegmentMembersInput) (answer, error) {
	path, err := in.own()
	if err != nil {
		return nil, err
	}
	if len(in.Add)+len(in.Remove) == 0 {
		return nil, errors.New("name e-mail addresses to add or to remove")
	}
	body := map[string]any{"members_to_add": texts(in.Add), "members_to_remove": texts(in.Remove)}
	got, err := c.Do(ctx, marketing.Request{Method: http.MethodPost, Path: path, Body: body})
	if err != nil {
		return nil, err
	}
	return some(got, "total_added", "total_removed", "error_count", "errors"), nil
}
