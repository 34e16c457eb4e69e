package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/tokenvault/tokenvault/cmd/internal/nearest"
)

// shape compares what is written with what the fields take, and notes every
// value of another kind and every key that there is not. The YAML reader would stop
// at the first, without the name of its key. Types that read themselves are left to
// it.
func (r *reader) shape(node ast.Node, t reflect.Type, path []string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if node == nil || readsItself(t) {
		return
	}
	switch n := node.(type) {
	case *ast.AnchorNode:
		r.shape(n.Value, t, path)
		return
	case *ast.AliasNode, *ast.TagNode, *ast.NullNode, *ast.CommentGroupNode:
		return
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		r.mapping(node, t, path)
	case reflect.Slice:
		r.sequence(node, t, path)
	case reflect.String:
		r.text(node, path)
	case reflect.Bool:
		if _, ok := node.(*ast.BoolNode); !ok {
			r.fail(path, "write true or false")
		}
	}
}

func readsItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	for _, reads := range []reflect.Type{
		reflect.TypeFor[yaml.BytesUnmarshaler](), reflect.TypeFor[yaml.BytesUnmarshalerContext](),
		reflect.TypeFor[yaml.InterfaceUnmarshaler](), reflect.TypeFor[yaml.InterfaceUnmarshalerContext](),
		reflect.TypeFor[yaml.NodeUnmarshaler](), reflect.TypeFor[yaml.NodeUnmarshalerContext](),
	} {
		if p.Implements(reads) {
			return true
		}
	}
	return false
}

func (r *reader) mapping(node ast.Node, t reflect.Type, path []string) {
	mapping, ok := node.(ast.MapNode)
	if !ok {
		if len(path) == 0 {
			r.fail(path, "a configuration has keys, such as listen: and providers:; see `tokenvault serve --help`")
			return
		}
		r.fail(path, "write keys of its own%s", suchAs(mappingExample(path[len(path)-1])))
		return
	}
	for entries := mapping.MapRange(); entries.Next(); {
		key := entries.Key().GetToken()
		if key == nil {
			continue
		}
		below := append(path[:len(path):len(path)], key.Value)
		if t.Kind() == reflect.Map {
			r.shape(entries.Value(), t.Elem(), below)
		} else if field, ok := fieldOf(t, key.Value); ok {
			r.shape(entries.Value(), field, below)
		} else if t.Kind() == reflect.Struct && entries.Key().Type() != ast.MergeKeyType {
			r.unknownKey(t, path, key)
		}
	}
}

// unknownKey notes a key that a struct has no field for.
func (r *reader) unknownKey(t reflect.Type, path []string, key *token.Token) {
	text := fmt.Sprintf("there is no key %q here", key.Value)
	r.unknown++
	if near := nearest.Names(key.Value, slices.Sorted(maps.Keys(keysOf(t)))); len(near) > 0 {
		text += fmt.Sprintf(": did you mean %s?", near[0])
		r.meant[strings.Join(append(path[:len(path):len(path)], near[0]), ".")] = true
	} else {
		text += "; see `tokenvault serve --help` for the keys"
	}
	r.problems = append(r.problems, Problem{File: r.name, Line: key.Position.Line, Key: strings.Join(path, "."), Text: text})
}

// keysOf returns the keys of a struct alone.
func keysOf(t reflect.Type) map[string]bool {
	keys := map[string]bool{}
	for field := range t.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if options == "inline" {
			maps.Copy(keys, keysOf(field.Type))
		} else if name != "" && name != "-" {
			keys[name] = true
		}
	}
	return keys
}

// fieldOf finds the type of a struct's field by its key.
func fieldOf(t reflect.Type, key string) (reflect.Type, bool) {
	for field := range t.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if name == key {
			return field.Type, true
		}
		if options == "inline" {
			if found, ok := fieldOf(field.Type, key); ok {
				return found, true
			}
		}
	}
	return nil, false
}

// Keys returns the keys that a configuration may have, sorted, without those that
// operators name themselves.
func Keys() []string {
	keys := map[string]bool{}
	addKeys(reflect.TypeFor[file](), keys)
	return slices.Sorted(maps.Keys(keys))
}

func addKeys(t reflect.Type, keys map[string]bool) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		addKeys(t.Elem(), keys)
	case reflect.Struct:
		for field := range t.Fields() {
			if name, _, _ := strings.Cut(field.Tag.Get("yaml"), ","); name != "" {
				keys[name] = true
			}
			addKeys(field.Type, keys)
		}
	}
}

func (r *reader) sequence(node ast.Node, t reflect.Type, path []string) {
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		r.fail(path, "write a list%s", suchAs(sequenceExample(path[len(path)-1])))
		return
	}
	for i, value := range sequence.Values {
		r.shape(value, t.Elem(), append(path[:len(path):len(path)], strconv.Itoa(i)))
	}
}

// text lets numbers stand for text where that is what will be read: YAML reads
// 0123 as 83, and 1_000 as 1000.
func (r *reader) text(node ast.Node, path []string) {
	switch n := node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		r.fail(path, "write a text, not keys of its own")
	case *ast.SequenceNode:
		r.fail(path, "write a text, not a list")
	case *ast.IntegerNode:
		if fmt.Sprint(n.Value) != n.GetToken().Value {
			r.fail(path, "write it in quotes: without them it is a number, and is read as another text")
		}
	}
}

// Examples of what belongs below a key. They are short; `tokenvault serve --help`
// has the whole.

func suchAs(example string) string {
	if example == "" {
		return ""
	}
	return ", such as " + example
}

func mappingExample(key string) string {
	switch key {
	case "listen":
		return "{grpc: 127.0.0.1:9090}"
	case "tls":
		return "{cert_file: server.crt, key_file: server.key}"
	case "storage":
		return "{bolt: {path: vault.db}}"
	case "bolt":
		return "{path: vault.db}"
	case "providers":
		return "{mailchimp: {client_id: ..., client_secret: ...}}"
	case "account":
		return "{id: /user_id}"
	case "login":
		return "{issuer: https://id.example.com, client_id: ..., client_secret: ...}"
	case "portal":
		return "{name: Example}"
	case "refresh":
		return "{lifetime: 1h}"
	}
	return ""
}

func sequenceExample(key string) string {
	switch key {
	case "rpcs", "subjects":
		return `["*"]`
	case "providers":
		return "[mailchimp]"
	case "return_urls":
		return `["https://app.example.com/connected"]`
	case "trusted_proxies":
		return "[10.0.0.0/8]"
	case "callers":
		return "[{name: ..., token_sha256: ...}]"
	}
	return "[one, two]"
}
