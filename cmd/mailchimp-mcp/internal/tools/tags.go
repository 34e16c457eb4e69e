package tools

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/marketing"
)

func (r *registry) addTags() {
	add(r, tool{
		name: "list_tags", title: "List tags",
		description: "Lists the tags of an audience. A tag's id is a segment_id: list_segment_members has its members, update_segment_members gives it to many at once, and a campaign can go to it.",
	}, listTags)
	add(r, tool{
		name: "list_member_tags", title: "List a member's tags",
		description: "Lists the tags of one member, and when they were added.",
	}, listMemberTags)
	add(r, tool{
		name: "update_member_tags", title: "Add and remove a member's tags", effect: replaces,
		description: "Adds tags to one member, and removes others, by name. Other tags stay. Tags that are not there yet are made. For many members, use update_segment_members, or create_segment where the tag is new. Adding a tag can start automations that wait for it.",
	}, updateMemberTags)
}

type listTagsInput struct {
	audience
	Name string `json:"name,omitempty" jsonschema:"Only tags whose name begins with this." max:"100"`
	paging
}

func listTags(ctx context.Context, c *marketing.Client, in listTagsInput) (answer, error) {
	path, err := in.within("tag-search")
	if err != nil {
		return nil, err
	}
	query := url.Values{}
	if in.Name != "" {
		query.Set("name", in.Name)
	}
	got, err := c.Get(ctx, path, query)
	if err != nil {
		return nil, err
	}
	tags, _ := got["tags"].([]any)
	return in.cutOut("tags", tags), nil
}

type listMemberTagsInput struct {
	member
	paging
}

func listMemberTags(ctx context.Context, c *marketing.Client, in listMemberTagsInput) (answer, error) {
	path, err := in.own("tags")
	if err != nil {
		return nil, err
	}
	return list{path: path, page: in.paging, pick: selection{container: "tags", id: []string{"name"}, usual: []string{"id", "date_added"}}}.get(ctx, c, nil)
}

type updateMemberTagsInput struct {
	member
	Add    []string `json:"add,omitempty" jsonschema:"Names of tags to add." max:"50"`
	Remove []string `json:"remove,omitempty" jsonschema:"Names of tags to remove." max:"50"`
}

func updateMemberTags(ctx context.Context, c *marketing.Client, in updateMemberTagsInput) (answer, error) {
	path, err := in.own("tags")
	if err != nil {
		return nil, err
	}
	if len(in.Add)+len(in.Remove) == 0 {
		return nil, errors.New("name tags to add or to remove")
	}
	var tags []map[string]string
	for _, name := range in.Add {
		tags = append(tags, map[string]string{"name": name, "status": "active"})
	}
	for _, name := range in.Remove {
		tags = append(tags, map[string]string{"name": name, "status": "inactive"})
	}
	if _, err := c.Do(ctx, marketing.Request{Method: http.MethodPost, Path: path, Body: map[string]any{"tags": tags}}); err != nil {
		return nil, err
	}
	return answer{"email_address": in.EmailAddress, "added": texts(in.Add), "removed": texts(in.Remove)}, nil
}

// texts is a list as answers have it.
func texts(list []string) []any {
	out := []any{}
	for _, s := range list {
		out = append(out, s)
	}
	return out
}
