package tools

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// inputSchema returns the schema of a tool's parameters. Beside the tag jsonschema, which
// is a parameter's description, fields have:
//
//	enum:"a,b"        the values that there are; for lists, those of the items
//	min:"1" max:"9"   bounds: of a number, of a list's length, of a text's in characters
//	default:"20"      JSON, or a text
//
// It panics where a tag is wrong.
func inputSchema[In any]() *jsonschema.Schema {
	s, err := jsonschema.For[In](nil)
	if err != nil {
		panic(fmt.Sprintf("tools: %v", err))
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[In]()) {
		if field.Anonymous {
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		refine(s.Properties[name], field.Tag)
	}
	return s
}

// refine adds to a parameter's schema what its tags say.
func refine(p *jsonschema.Schema, tag reflect.StructTag) {
	if len(p.Types) == 2 { // with null, which says the same as leaving it out
		p.Type, p.Types = p.Types[1], nil
	}
	of := p
	if p.Type == "array" {
		of = p.Items
	}
	if values, ok := tag.Lookup("enum"); ok {
		for value := range strings.SplitSeq(values, ",") {
			of.Enum = append(of.Enum, value)
		}
	}
	if value, ok := tag.Lookup("default"); ok {
		p.Default = json.RawMessage(value)
		if !json.Valid(p.Default) {
			p.Default = json.RawMessage(strconv.Quote(value))
		}
	}
	setBounds(p, bound(tag, "min"), bound(tag, "max"))
}

func bound(tag reflect.StructTag, name string) *int {
	text, ok := tag.Lookup(name)
	if !ok {
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(fmt.Sprintf("tools: the tag %s: %v", name, err))
	}
	return &n
}

func setBounds(p *jsonschema.Schema, least, most *int) {
	switch p.Type {
	case "array":
		p.MinItems, p.MaxItems = least, most
	case "string":
		p.MinLength, p.MaxLength = least, most
	default:
		if least != nil {
			p.Minimum = new(float64(*least))
		}
		if most != nil {
			p.Maximum = new(float64(*most))
		}
	}
}
