package provider

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

// filled returns a value of a type in which every field is set.
func filled(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			v.Field(i).Set(filled(t.Field(i).Type))
		}
	case reflect.Pointer:
		v.Set(filled(t.Elem()).Addr())
	case reflect.Map:
		v.Set(reflect.MakeMap(t))
		v.SetMapIndex(reflect.ValueOf("key"), filled(t.Elem()))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(t, 1, 1))
		v.Index(0).Set(filled(t.Elem()))
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	default:
		v.SetInt(7)
	}
	return v
}

func TestOverridingForgetsNoField(t *testing.T) {
	all := filled(reflect.TypeFor[Definition]()).Interface().(Definition)
	for name, base := range map[string]Definition{
		"nothing":              {},
		"empty parts":          {AfterConnect: &AfterConnect{}, APIKey: &APIKey{}},
		"all but other values": {DisplayName: "other", AfterConnect: &AfterConnect{URL: "other"}, APIKey: &APIKey{Pattern: "other"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(all, base.Override(all)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if diff := cmp.Diff(all, all.Override(Definition{})); diff != "" {
		t.Errorf("overriding with nothing changes (-want +got):\n%s", diff)
	}
}

func TestOverridingLeavesItsOperandsAlone(t *testing.T) {
	base := Definition{TokenCapture: map[string]Capture{"a": {Pointer: "/a"}}, AfterConnect: &AfterConnect{URL: "u"}, APIKey: &APIKey{Pattern: "p"}}
	over := Definition{TokenCapture: map[string]Capture{"b": {Pointer: "/b"}}, AfterConnect: &AfterConnect{URL: "v"}, APIKey: &APIKey{Pattern: "q"}}
	got := base.Override(over)
	if len(got.TokenCapture) != 2 || got.AfterConnect.URL != "v" || got.APIKey.Pattern != "q" {
		t.Errorf("merged = %+v", got)
	}
	if len(base.TokenCapture) != 1 || base.AfterConnect.URL != "u" || base.APIKey.Pattern != "p" || len(over.TokenCapture) != 1 {
		t.Error("an operand has changed")
	}
	if got := base.Override(Definition{TokenCapture: map[string]Capture{}}); len(got.TokenCapture) != 0 {
		t.Errorf("an empty map has not emptied: %+v", got.TokenCapture)
	}
}

func TestDurationsAreReadFromYAML(t *testing.T) {
	for _, row := range []struct {
		text string
		want time.Duration
	}{
		{"90d", 90 * 24 * time.Hour},
		{`"90d"`, 90 * 24 * time.Hour},
		{"10m", 10 * time.Minute},
		{"1h30m", 90 * time.Minute},
		{"1h # an hour", time.Hour},
		{"90", badDuration},
		{"90 days", badDuration},
		{"d", badDuration},
		{"-1d", badDuration},
		{"-1h", badDuration},
		{"99999999999d", badDuration},
		{"4294967295d", badDuration},
		{"[1h]", badDuration},
	} {
		t.Run(row.text, func(t *testing.T) {
			var d Definition
			if err := yaml.UnmarshalWithOptions([]byte("refresh: {lifetime: "+strings.Split(row.text, " #")[0]+"}"), &d, DecodeOptions()...); err != nil {
				t.Fatal(err)
			}
			if d.Refresh.Lifetime != row.want {
				t.Errorf("lifetime = %v, want %v", d.Refresh.Lifetime, row.want)
			}
		})
	}
}

func TestAVariableIsAPatternOrMore(t *testing.T) {
	var d Definition
	text := "variables:\n  shop: \"^[a-z]+$\"\n  tenant: {pattern: \"^[a-z]+$\", default: common}\n"
	if err := yaml.UnmarshalWithOptions([]byte(text), &d, DecodeOptions()...); err != nil {
		t.Fatal(err)
	}
	want := map[string]Variable{"shop": {Pattern: "^[a-z]+$"}, "tenant": {Pattern: "^[a-z]+$", Default: "common"}}
	if diff := cmp.Diff(want, d.Variables); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var unknown *yaml.UnknownFieldError
	err := yaml.UnmarshalWithOptions([]byte("variables:\n  shop:\n    pattern: x\n    paterm: y\n"), &d, DecodeOptions()...)
	if !errors.As(err, &unknown) {
		t.Errorf("error = %v, want one of the unknown key", err)
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, seed := range []string{"90d", "1h", "", "d", "-1d", "1e3d", "106751d", "106752d", "18446744073709551615d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d := parseDuration(text); d < 0 && d != badDuration {
			t.Errorf("duration = %v", d)
		}
	})
}

func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{"", "https://{shop}.example.com/{a}?b", "{", "}", "{}", "{a}{b}", "a{b", "https://{a}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := parseTemplate(text)
		if err != nil {
			return
		}
		if got := parsed.fill(func(name string) string { return "{" + name + "}" }); got != text {
			t.Errorf("filled with its own names: %q, want %q", got, text)
		}
		for i := range parsed.names {
			parsed.place(i)
		}
	})
}

// FuzzVariableInHost looks for a URL whose variable leads to another domain than
// the one that the definition names.
func FuzzVariableInHost(f *testing.F) {
	f.Add("https://{shop}.example.com/admin", "^[a-z0-9-]+$", "acme")
	f.Add("https://{shop}/", "^[a-z]+$", "localhost")
	f.Add("https://example.com/{shop}", "^[a-z.]+$", "..")
	f.Add("https://{shop}example.com", "^[a-z]+$", "evil")
	f.Add("https://a.{shop}.com", "^[a-z]+$", "evil")
	f.Add("{shop}.example.com", "^https://[a-z.]+\\.example\\.com$", "https://a.example.com")
	f.Fuzz(func(t *testing.T, tokenURL, pattern, value string) {
		d := Definition{AuthorizeURL: "https://a.example.com/", TokenURL: tokenURL, ClientAuth: ClientAuthPost,
			Variables: map[string]Variable{"shop": {Pattern: pattern}}}
		p, err := New(Config{Name: "acme", Definition: d, ClientID: "id", ClientSecret: canary()})
		if err != nil {
			return
		}
		bound, err := p.With(map[string]string{"shop": value})
		if err != nil {
			return
		}
		same, err := p.With(map[string]string{"shop": value})
		if err != nil || same.definition.TokenURL != bound.definition.TokenURL {
			t.Errorf("bound twice: %v, %q and %q", err, same.definition.TokenURL, bound.definition.TokenURL)
		}
		if got, want := domainOf(t, bound.definition.TokenURL), domainOf(t, strings.ReplaceAll(tokenURL, "{shop}", "x")); got != want && strings.Contains(got, ".") {
			t.Errorf("%q leads to %q, want %q", value, got, want)
		}
	})
}
