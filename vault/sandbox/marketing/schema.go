package marketing

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// maxBody is how much of a request is read: 1 MiB.
const maxBody = 1 << 20

// schema is what a value in a body is like.
type schema struct {
	kind     string            // JSON Schema's name of the type; "": any
	of       map[string]schema // of an object; nil: any members
	items    *schema           // of an array; nil: any
	required []string
	oneOf    []string // of a string; nil: any
}

var anything = schema{}

func text(oneOf ...string) schema            { return schema{kind: "string", oneOf: oneOf} }
func number() schema                         { return schema{kind: "number"} }
func integer() schema                        { return schema{kind: "integer"} }
func boolean() schema                        { return schema{kind: "boolean"} }
func array(items schema) schema              { return schema{kind: "array", items: &items} }
func thing(of map[string]schema) schema      { return schema{kind: "object", of: of} }
func (s schema) requires(n ...string) schema { s.required = n; return s }
func (s schema) root() *schema               { return &s }

// texts are members that are all of the kind of text.
func texts(names ...string) map[string]schema {
	of := map[string]schema{}
	for _, name := range names {
		of[name] = text()
	}
	return of
}

// with adds members.
func with(of map[string]schema, more map[string]schema) map[string]schema {
	for name, s := range more {
		of[name] = s
	}
	return of
}

// readBody reads the request's body, and checks it.
func (c *call) readBody(s *schema) error {
	if s == nil {
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(c.r.Body, maxBody+1))
	if err != nil {
		return badRequest("The body could not be read.")
	}
	if len(data) > maxBody {
		return problem(http.StatusRequestEntityTooLarge, "Request Entity Too Large", "The sandbox reads bodies of 1 MiB at the most.")
	}
	var value any = object{}
	if len(data) > 0 {
		if err := json.Unmarshal(data, &value); err != nil {
			return problem(http.StatusBadRequest, "JSON Parse Error", "We encountered an unspecified JSON parsing error.")
		}
	}
	if errs := s.check("", value); errs != nil {
		return invalid(errs...)
	}
	c.body, _ = value.(object) // checked
	return nil
}

// check returns what is wrong with a value.
func (s schema) check(at string, value any) []FieldError {
	if got := kindOf(value); !s.takes(got, value) {
		return []FieldError{{at, fmt.Sprintf("Schema describes %s, %s found instead", s.kind, got)}}
	}
	switch value := value.(type) {
	case string:
		if s.oneOf != nil && !slices.Contains(s.oneOf, value) {
			return []FieldError{{at, "Value must be one of: " + strings.Join(s.oneOf, ", ")}}
		}
	case []any:
		var errs []FieldError
		for i, item := range value {
			if s.items != nil {
				errs = append(errs, s.items.check(fmt.Sprintf("%s.item:%d", at, i), item)...)
			}
		}
		return errs
	case object:
		return s.checkMembers(at, value)
	}
	return nil
}

func (s schema) checkMembers(at string, value object) []FieldError {
	var errs []FieldError
	missing := slices.DeleteFunc(slices.Clone(s.required), func(name string) bool { return value[name] != nil })
	if len(missing) > 0 {
		errs = append(errs, FieldError{at, "Required fields were not provided: " + strings.Join(missing, ", ")})
	}
	if s.of == nil {
		return errs
	}
	names := make([]string, 0, len(value))
	for name := range value {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		inside := strings.TrimPrefix(at+"."+name, ".")
		member, known := s.of[name]
		if !known {
			errs = append(errs, FieldError{inside, "The sandbox does not know this field."})
			continue
		}
		errs = append(errs, member.check(inside, value[name])...)
	}
	return errs
}

func (s schema) takes(got string, value any) bool {
	switch s.kind {
	case "", got:
		return true
	case "integer":
		n, ok := value.(float64)
		return ok && n == float64(int(n))
	}
	return false
}

// kindOf is what JSON Schema calls a value.
func kindOf(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case float64:
		return "number"
	case string:
		return "string"
	case []any:
		return "array"
	}
	return "object"
}

// Members of a body that was checked: the zero value where there are none.

func (c *call) has(name string) bool { _, ok := c.body[name]; return ok }

func textOf(o object, name string) string { s, _ := o[name].(string); return s }

func objectOf(o object, name string) object { m, _ := o[name].(object); return m }

func arrayOf(o object, name string) []any { l, _ := o[name].([]any); return l }

func boolOf(o object, name string) bool { b, _ := o[name].(bool); return b }

func intOf(o object, name string) int { n, _ := o[name].(float64); return int(n) }

// textsOf returns an array of texts.
func textsOf(o object, name string) []string {
	var all []string
	for _, item := range arrayOf(o, name) {
		s, _ := item.(string)
		all = append(all, s)
	}
	return all
}
