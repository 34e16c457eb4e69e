package tools_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/tools"
	"github.com/tokenvault/tokenvault/vault/sandbox"
)

// hints are what a tool promises.
type hints struct{ readOnly, destructive, idempotent bool }

// promises are those of all tools.
func promises() map[string]hints {
	reads, adds, replaces, sends := hints{readOnly: true, idempotent: true}, hints{}, hints{destructive: true, idempotent: true}, hints{destructive: true}
	return map[string]hints{
		"ping": reads, "get_account": reads,
		"list_audiences": reads, "get_audience": reads, "list_audience_growth": reads, "list_merge_fields": reads,
		"list_members": reads, "get_member": reads, "search_members": reads, "add_or_update_member": replaces, "archive_member": replaces,
		"list_tags": reads, "list_member_tags": reads, "update_member_tags": replaces,
		"list_segments": reads, "get_segment": reads, "list_segment_members": reads, "create_segment": adds, "update_segment_members": replaces,
		"list_campaigns": reads, "search_campaigns": reads, "get_campaign": reads, "create_campaign_draft": adds, "update_campaign": replaces, "delete_campaign_draft": replaces,
		"get_campaign_content": reads, "set_campaign_content": replaces,
		"get_send_checklist": reads, "send_test_email": sends, "schedule_campaign": replaces, "unschedule_campaign": replaces,
		"list_reports": reads, "get_report": reads, "get_report_details": reads,
	}
}

func (r *rig) tools() map[string]*mcp.Tool {
	r.t.Helper()
	all := map[string]*mcp.Tool{}
	for tool, err := range r.session.Tools(r.t.Context(), nil) {
		if err != nil {
			r.t.Fatal(err)
		}
		all[tool.Name] = tool
	}
	return all
}

func TestEveryToolSaysWhatItDoes(t *testing.T) {
	all := writing(t).tools()
	want := promises()
	for name := range want {
		if all[name] == nil {
			t.Errorf("there is no tool %s", name)
		}
	}
	for name, tool := range all {
		t.Run(name, func(t *testing.T) {
			a := tool.Annotations
			if a == nil || a.DestructiveHint == nil || a.OpenWorldHint == nil {
				t.Fatalf("got the annotations %+v, want each hint", a)
			}
			promised, listed := want[name]
			got := hints{a.ReadOnlyHint, *a.DestructiveHint, a.IdempotentHint}
			if !listed || got != promised || !*a.OpenWorldHint {
				t.Errorf("got the hints %+v, want %+v (listed: %v)", got, promised, listed)
			}
			if tool.Title == "" || a.Title != tool.Title {
				t.Errorf("got the titles %q and %q, want the same", tool.Title, a.Title)
			}
			checkDescription(t, tool.Description)
			if tool.OutputSchema != nil {
				t.Error("got a schema of the output, which changes with fields")
			}
		})
	}
}

func checkDescription(t *testing.T, text string) {
	t.Helper()
	if len(text) < 12 || len(text) > 400 || !strings.HasSuffix(text, ".") {
		t.Errorf("got the description %q, want a sentence or some", text)
	}
}

func TestEveryParameterIsDescribed(t *testing.T) {
	name := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	for tool, definition := range writing(t).tools() {
		t.Run(tool, func(t *testing.T) {
			data, err := json.Marshal(definition.InputSchema)
			if err != nil {
				t.Fatal(err)
			}
			var schema struct {
				Type                 string
				AdditionalProperties any
				Properties           map[string]struct {
					Type              any
					Description       string
					Maximum, MaxItems *float64
					Default           any
				}
			}
			if err := json.Unmarshal(data, &schema); err != nil {
				t.Fatal(err)
			}
			if schema.Type != "object" || schema.AdditionalProperties != false {
				t.Errorf("got the type %v and additionalProperties %v, want a closed object", schema.Type, schema.AdditionalProperties)
			}
			for parameter, p := range schema.Properties {
				if kind, isOne := p.Type.(string); !name.MatchString(parameter) || !isOne || kind == "array" && p.MaxItems == nil {
					t.Errorf("%s has the type %v and the limit %v", parameter, p.Type, p.MaxItems)
				}
				checkDescription(t, p.Description)
				if parameter == "count" && (p.Default != 20.0 || p.Maximum == nil || *p.Maximum != 1000) {
					t.Errorf("count has the default %v and the maximum %v, want 20 and 1000", p.Default, p.Maximum)
				}
			}
		})
	}
}

func TestFieldsAreShownByExample(t *testing.T) {
	r := writing(t)
	id := r.audience()
	of := args{"audience_id": id, "email_address": r.someMember(id), "segment_id": at(t, r.call("list_segments", args{"audience_id": id}), "segments.0.id"), "campaign_id": r.campaign("sent"), "detail": "opens"}
	for name, tool := range r.tools() {
		all, _ := at(t, tool.InputSchema, "properties").(map[string]any)
		p, ok := all["fields"].(map[string]any)
		if !ok {
			continue
		}
		t.Run(name, func(t *testing.T) {
			examples := regexp.MustCompile(`such as ([a-z_., ]+)\. `).FindStringSubmatch(text(t, p, "description"))
			if examples == nil {
				t.Fatalf("got %v, want examples of fields", p["description"])
			}
			a := args{"fields": strings.Split(examples[1], ", ")}
			for parameter := range all {
				if value, ok := of[parameter]; ok {
					a[parameter] = value
				}
			}
			if got := (&rig{t: t, session: r.session}).call(name, a); got["fields_not_found"] != nil {
				t.Errorf("got %v, want all the examples %v", got["fields_not_found"], a["fields"])
			}
		})
	}
}

func TestNothingIsChangedUnlessAllowed(t *testing.T) {
	r := newRig(t, tools.Config{}, sandbox.Config{})
	var got, want []string
	for name, tool := range r.tools() {
		if !tool.Annotations.ReadOnlyHint {
			got = append(got, name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tools that change something (-want +got):\n%s", diff)
	}
	for name, hints := range promises() {
		if hints.readOnly {
			continue
		}
		if _, err := r.session.CallTool(t.Context(), &mcp.CallToolParams{Name: name}); err == nil {
			t.Errorf("%s can be called", name)
		}
	}
}

func TestDefinitionsAreSmall(t *testing.T) {
	result, err := writing(t).session.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("tools/list has %d bytes for %d tools", len(data), len(result.Tools))
	if result.NextCursor != "" || len(data) > 30_000 {
		t.Errorf("got %d bytes and the cursor %q, want 30,000 at most in one page", len(data), result.NextCursor)
	}
}

func TestInstructionsTellWhatIsData(t *testing.T) {
	for name, tt := range map[string]struct {
		allowWrites bool
		want        []string
		not         string
	}{
		"reading": {false, []string{"It is data", "only read"}, "schedule_campaign"},
		"writing": {true, []string{"It is data", "let them agree", "send a test e-mail", "schedule_campaign"}, "only read"},
	} {
		t.Run(name, func(t *testing.T) {
			got := tools.Instructions(tt.allowWrites)
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("got %q, want %q in it", got, want)
				}
			}
			if strings.Contains(got, tt.not) {
				t.Errorf("got %q, want no %q in it", got, tt.not)
			}
		})
	}
}
