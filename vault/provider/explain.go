package provider

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Origin is where a value that is in force came from.
type Origin string

// The origins.
const (
	OriginConfiguration Origin = "configuration"
	OriginCatalogue     Origin = "catalogue"
	OriginLibrary       Origin = "library"   // golang.org/x/oauth2/endpoints
	OriginDiscovery     Origin = "discovery" // the issuer's metadata
	OriginDefault       Origin = "default"
)

// Field is a value that is in force for a provider. Fields are written as in
// YAML.
type Field struct {
	Path   []string // such as refresh, grace
	Value  string
	Origin Origin
	// Library is the name that golang.org/x/oauth2/endpoints has for it. Empty:
	// it is not from there.
	Library string
}

// Explain returns what is in force for a provider of that name that is made of a
// template, with what a configuration writes over it. An empty template is none.
// What an issuer's metadata would add is not in it; see [AddDiscovered].
func Explain(name, template string, over Definition) ([]Field, error) {
	var base, own Definition
	var library string
	if template != "" {
		all, err := entries()
		if err != nil {
			return nil, err
		}
		e, ok := all[template]
		if !ok {
			return nil, fmt.Errorf("provider: %s is not in the catalogue", template)
		}
		if base, err = e.resolve(); err != nil {
			return nil, err
		}
		own, library = e.Definition, e.Endpoint
	}
	written, configured := valuesOf(own), valuesOf(over)
	d := base.Override(over)
	var fields []Field
	for _, value := range flatten(d) {
		key := strings.Join(value.Path, "\x00")
		switch {
		case configured[key] == value.Value:
			value.Origin = OriginConfiguration
		case written[key] == value.Value:
			value.Origin = OriginCatalogue
		default:
			value.Origin, value.Library = OriginLibrary, library
		}
		fields = append(fields, value)
	}
	return addDefaults(fields, name, d), nil
}

// AddDiscovered adds what an issuer's metadata has filled in.
func AddDiscovered(fields []Field, e Endpoints) []Field {
	return addMissing(fields, OriginDiscovery, []Field{
		{Path: []string{"authorize_url"}, Value: e.AuthorizeURL},
		{Path: []string{"token_url"}, Value: e.TokenURL},
		{Path: []string{"revoke_url"}, Value: e.RevokeURL},
		{Path: []string{"device_url"}, Value: e.DeviceURL},
		{Path: []string{"client_auth"}, Value: string(e.ClientAuth)},
	})
}

// addDefaults adds what holds where nobody has said anything.
func addDefaults(fields []Field, name string, d Definition) []Field {
	defaults := []Field{{Path: []string{"display_name"}, Value: name}}
	if d.HasOAuth() {
		defaults = append(defaults,
			Field{Path: []string{"grants"}, Value: "[" + string(GrantAuthorizationCode) + "]"},
			Field{Path: []string{"pkce"}, Value: string(PKCES256)},
			Field{Path: []string{"scope_separator"}, Value: quoteSpace(" ")},
			Field{Path: []string{"token_format"}, Value: string(TokenFormatForm)},
		)
	}
	if a := d.AfterConnect; a != nil {
		defaults = append(defaults, Field{Path: []string{"after_connect", "method"}, Value: "GET"})
		if !slices.ContainsFunc(slices.Collect(maps.Values(a.Headers)), func(text string) bool { return holds(text, "access_token") }) {
			defaults = append(defaults, Field{Path: []string{"after_connect", "authorization"}, Value: "Bearer {access_token}"})
		}
	}
	if k := d.APIKey; k != nil && k.Basic == "" {
		value := "Bearer {api_key}"
		if k.Header != "" && !strings.EqualFold(k.Header, "Authorization") {
			value = "{api_key}"
		}
		defaults = append(defaults, Field{Path: []string{"api_key", "header"}, Value: "Authorization"}, Field{Path: []string{"api_key", "authorization"}, Value: value})
	}
	defaults = append(defaults, Field{Path: []string{"allow_private_network"}, Value: "false"})
	return addMissing(fields, OriginDefault, defaults)
}

// addMissing adds those fields that have a value and are not there yet.
func addMissing(fields []Field, origin Origin, more []Field) []Field {
	for _, field := range more {
		known := slices.ContainsFunc(fields, func(f Field) bool { return slices.Equal(f.Path, field.Path) })
		if field.Value != "" && !known {
			field.Origin = origin
			fields = append(fields, field)
		}
	}
	order := reflect.TypeFor[Definition]()
	slices.SortStableFunc(fields, func(a, b Field) int { return position(order, a.Path[0]) - position(order, b.Path[0]) })
	return fields
}

// position returns where a definition has a field.
func position(t reflect.Type, name string) int {
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("yaml") == name {
			return i
		}
	}
	return t.NumField()
}

// valuesOf returns the values of a definition by their path.
func valuesOf(d Definition) map[string]string {
	values := map[string]string{}
	for _, field := range flatten(d) {
		values[strings.Join(field.Path, "\x00")] = field.Value
	}
	return values
}

// flatten returns what a definition sets, in its order.
func flatten(d Definition) []Field { return flattenValue(reflect.ValueOf(d), nil) }

func flattenValue(v reflect.Value, path []string) []Field {
	if duration, ok := v.Interface().(time.Duration); ok {
		if duration == 0 {
			return nil
		}
		return []Field{{Path: path, Value: writeDuration(duration)}}
	}
	var fields []Field
	below := func(name string) []string { return append(path[:len(path):len(path)], name) }
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		if fields = flattenValue(v.Elem(), path); fields == nil {
			return []Field{{Path: path, Value: "{}"}}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fields = append(fields, flattenValue(v.Field(i), below(v.Type().Field(i).Tag.Get("yaml")))...)
		}
	case reflect.Map:
		if v.Len() == 0 && !v.IsNil() {
			return []Field{{Path: path, Value: "{}"}}
		}
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, key := range keys {
			fields = append(fields, flattenValue(v.MapIndex(key), below(key.String()))...)
		}
	case reflect.Slice:
		if !v.IsNil() {
			texts := make([]string, v.Len())
			for i := range texts {
				texts[i] = fmt.Sprint(v.Index(i).Interface())
			}
			return []Field{{Path: path, Value: "[" + strings.Join(texts, ", ") + "]"}}
		}
	default:
		if !v.IsZero() {
			return []Field{{Path: path, Value: quoteSpace(fmt.Sprint(v.Interface()))}}
		}
	}
	return fields
}

// quoteSpace shows text that begins or ends with a space.
func quoteSpace(text string) string {
	if strings.TrimSpace(text) != text {
		return `"` + text + `"`
	}
	return text
}

// writeDuration writes what parseDuration reads.
func writeDuration(d time.Duration) string {
	const day = 24 * time.Hour
	if d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	text := d.String() // such as 8h0m0s
	for _, unit := range []struct{ after, zero string }{{"m", "0s"}, {"h", "0m"}} {
		if strings.HasSuffix(text, unit.after+unit.zero) {
			text = strings.TrimSuffix(text, unit.zero)
		}
	}
	return text
}
