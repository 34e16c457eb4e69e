package marketing

import (
	"fmt"
	"slices"
	"strings"
)

// optionsSchema is which members a saved segment or a campaign has.
func optionsSchema() schema {
	condition := thing(map[string]schema{"condition_type": text(), "field": text(), "op": text(), "value": anything, "extra": anything}).requires("field", "op")
	return thing(map[string]schema{"match": text("any", "all"), "conditions": array(condition)})
}

// The conditions that the sandbox understands, of the many that there are.
const (
	onText   = "TextMerge"
	onEmail  = "EmailAddress"
	onTag    = "StaticSegment"
	onRating = "MemberRating"
)

// operators are those of each type of condition.
func operators() map[string][]string {
	ofText := []string{"is", "not", "contains", "notcontain", "starts", "ends", "blank", "blank_not"}
	return map[string][]string{
		onText: ofText, onEmail: ofText, onTag: {"static_is", "static_not"}, onRating: {"is", "not", "greater", "less"},
	}
}

// kindOfCondition is the type of a condition, which its field tells where it is
// left out.
func kindOfCondition(condition object) string {
	if kind := textOf(condition, "condition_type"); kind != "" {
		return kind
	}
	switch strings.ToLower(textOf(condition, "field")) {
	case "static_segment":
		return onTag
	case "rating":
		return onRating
	case "email", "merge0":
		return onEmail
	}
	return onText
}

// checkOptions says which conditions the sandbox does not understand.
func checkOptions(at string, options object) (errs []FieldError) {
	for i, each := range arrayOf(options, "conditions") {
		condition, _ := each.(object)
		kind := kindOfCondition(condition)
		known, ok := operators()[kind]
		where := fmt.Sprintf("%s.conditions.item:%d", at, i)
		switch op := textOf(condition, "op"); {
		case !ok:
			errs = append(errs, FieldError{where, "The sandbox knows conditions of TextMerge, EmailAddress, StaticSegment and MemberRating, and not " + kind + "."})
		case !slices.Contains(known, op):
			errs = append(errs, FieldError{where, fmt.Sprintf("The op of %s is one of %s, and not %q.", kind, strings.Join(known, ", "), op)})
		}
	}
	return errs
}

// matches reports whether a member is as options say.
func matches(options object, m *member) bool {
	conditions := arrayOf(options, "conditions")
	if len(conditions) == 0 {
		return true
	}
	is := func(each any) bool { condition, _ := each.(object); return meets(condition, m) }
	if textOf(options, "match") == "any" {
		return slices.ContainsFunc(conditions, is)
	}
	return !slices.ContainsFunc(conditions, func(each any) bool { return !is(each) })
}

func meets(condition object, m *member) bool {
	op, want := textOf(condition, "op"), fmt.Sprint(condition["value"])
	switch kindOfCondition(condition) {
	case onTag:
		if id, isNumber := condition["value"].(float64); isNumber {
			want = itoa(int(id))
		}
		has := false
		for id := range m.tags {
			has = has || itoa(id) == want
		}
		return has == (op == "static_is")
	case onRating:
		have := itoa(m.rating)
		return op == "is" && have == want || op == "not" && have != want || op == "greater" && have > want || op == "less" && have < want
	case onEmail:
		return compare(op, m.email, want)
	}
	have := ""
	if value := m.fields[textOf(condition, "field")]; value != nil {
		have = fmt.Sprint(value)
	}
	return compare(op, have, want)
}

// compare does what an operator of texts says, in whatever case.
func compare(op, have, want string) bool {
	have, want = strings.ToLower(have), strings.ToLower(want)
	switch op {
	case "is":
		return have == want
	case "not":
		return have != want
	case "contains":
		return strings.Contains(have, want)
	case "notcontain":
		return !strings.Contains(have, want)
	case "starts":
		return strings.HasPrefix(have, want)
	case "ends":
		return strings.HasSuffix(have, want)
	case "blank":
		return have == ""
	}
	return have != "" // blank_not
}
