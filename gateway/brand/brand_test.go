package brand_test

import (
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/gateway/brand"
)

func TestABrandThatCannotWorkIsRefused(t *testing.T) {
	png := []byte("\x89PNG\r\n\x1a\n")
	for _, row := range []struct {
		name  string
		brand brand.Brand
		want  string // the key at fault
	}{
		{"nothing", brand.Brand{}, ""},
		{"all", brand.Brand{Name: "Example", Logo: png, AccentColor: "#1F5fbf"}, ""},
		{"SVG", brand.Brand{Logo: []byte(`<?xml version="1.0"?><svg/>`)}, ""},
		{"a long name", brand.Brand{Name: strings.Repeat("x", 61)}, "name"},
		{"a colour by name", brand.Brand{AccentColor: "blue"}, "accent_color"},
		{"a short colour", brand.Brand{AccentColor: "#fff"}, "accent_color"},
		{"style in place of a colour", brand.Brand{AccentColor: "#1f5fbf;}"}, "accent_color"},
		{"a sign in a colour", brand.Brand{AccentColor: "#+f5fbf"}, "accent_color"},
		{"a page in place of a logo", brand.Brand{Logo: []byte("<html>")}, "logo"},
		{"a large logo", brand.Brand{Logo: append(png, make([]byte, 256<<10)...)}, "logo"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if key, err := row.brand.Check(); key != row.want || (err == nil) != (row.want == "") {
				t.Errorf("Check() = %q, %v; want %q", key, err, row.want)
			}
		})
	}
}

func TestTextOnTheAccentCanBeRead(t *testing.T) {
	for accent, want := range map[string]string{"#000000": "#ffffff", "#ffffff": "#000000", "#ffe01b": "#000000", "#1f5fbf": "#ffffff", "#d32f2f": "#ffffff"} {
		if got := (brand.Brand{AccentColor: accent}).Style(); !strings.Contains(got, "--accent: "+accent+";") || !strings.Contains(got, "--on-accent: "+want+";") {
			t.Errorf("on %s: %q, want %s", accent, got, want)
		}
	}
	if got := (brand.Brand{}).Style(); got != "" {
		t.Errorf("without a colour: %q", got)
	}
}
