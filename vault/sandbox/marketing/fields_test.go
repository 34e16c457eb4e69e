package marketing

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFieldsOfAnAnswerAreSelected(t *testing.T) {
	const answer = `{"lists": [{"id": "a", "name": "A", "stats": {"member_count": 1, "open_rate": 2}}, {"id": "b", "name": "B"}], "total_items": 2, "_links": [{"rel": "self"}]}`
	for _, row := range []struct{ name, fields, exclude, want string }{
		{"all", "", "", answer},
		{"one", "total_items", "", `{"total_items": 2}`},
		{"inside of each of a list", "lists.id,total_items", "", `{"lists": [{"id": "a"}, {"id": "b"}], "total_items": 2}`},
		{"deeper", "lists.stats.open_rate", "", `{"lists": [{"stats": {"open_rate": 2}}, {}]}`},
		{"a whole and a part of it", "lists,lists.id", "lists.stats", `{"lists": [{"id": "a", "name": "A"}, {"id": "b", "name": "B"}]}`},
		{"a part and the whole of it", "lists.id,lists", "lists.stats", `{"lists": [{"id": "a", "name": "A"}, {"id": "b", "name": "B"}]}`},
		{"with spaces", " lists.id , ", "", `{"lists": [{"id": "a"}, {"id": "b"}]}`},
		{"unknown", "nix,lists.nix", "", `{"lists": [{}, {}]}`},
		{"without one", "", "lists,_links", `{"total_items": 2}`},
		{"without a part", "", "lists.stats,lists.name,_links", `{"lists": [{"id": "a"}, {"id": "b"}], "total_items": 2}`},
		{"without a part and the whole", "", "lists.name,lists,_links", `{"total_items": 2}`},
		{"both", "lists", "lists.stats,lists.name", `{"lists": [{"id": "a"}, {"id": "b"}]}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := newSelector(row.fields, row.exclude).apply(read(t, answer))
			if diff := cmp.Diff(read(t, row.want), got); diff != "" {
				t.Errorf("fields=%s exclude_fields=%s (-want +got):\n%s", row.fields, row.exclude, diff)
			}
		})
	}
}

func read(t *testing.T, text string) any {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// FuzzSelector checks of any selection that it adds nothing, does what it did
// already when it is made of its own result, and leaves its source alone.
func FuzzSelector(f *testing.F) {
	const answer = `{"lists": [{"id": "a", "stats": {"open_rate": 2}}, {"id": "b"}], "total_items": 2, "": {"": 1}}`
	for _, seed := range [][3]string{
		{"", "", answer}, {"lists.id,total_items", "", answer}, {"lists", "lists.stats", answer}, {"lists.id,lists", "lists", answer},
		{".", "..", answer}, {",,", ",", answer}, {"lists..id", ".lists", answer}, {"a.b.c,a.b,a", "a,a.b,a.b.c", `{"a": {"b": [{"c": null}, [1]]}}`},
		{"id", "", `[{"id": 1}, 2, null]`}, {"x", "y", `"text"`}, {"total_items.more", "total_items.more", answer},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, fields, exclude, source string) {
		var value any
		if json.Unmarshal([]byte(source), &value) != nil {
			t.Skip()
		}
		s := newSelector(fields, exclude)
		got := s.apply(value)
		if diff := cmp.Diff(read(t, source), value); diff != "" {
			t.Fatalf("the source has changed (-was +is):\n%s", diff)
		}
		if !within(got, value) {
			t.Fatalf("fields=%q exclude_fields=%q of %s = %v has more than the source", fields, exclude, source, got)
		}
		if diff := cmp.Diff(got, s.apply(got)); diff != "" {
			t.Fatalf("a second selection has changed it (-first +second):\n%s", diff)
		}
	})
}

// within reports whether all that is in one value is at the same place of another.
func within(part, whole any) bool {
	switch part := part.(type) {
	case object:
		of, ok := whole.(object)
		for name, member := range part {
			other, has := of[name]
			ok = ok && has && within(member, other)
		}
		return ok
	case []any:
		of, ok := whole.([]any)
		if !ok || len(of) != len(part) {
			return false
		}
		for i := range part {
			if !within(part[i], of[i]) {
				return false
			}
		}
		return true
	}
	return cmp.Equal(part, whole)
}
