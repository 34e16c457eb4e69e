package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/cmd/tokenvault/internal/config"
)

func TestThePortalIsTheOperators(t *testing.T) {
	files := source()
	read := files.ReadFile
	files.ReadFile = func(path string) ([]byte, error) {
		if path == "/etc/vault/logo.svg" {
			return []byte("<svg/>"), nil
		}
		return read(path)
	}
	signingIn := strings.Replace(good, "binding: link", "binding: login\nlogin: {issuer: https://id.example.com, client_id: vault, client_secret: env:SECRET}", 1)
	c, err := config.Parse("/etc/vault/vault.yaml", []byte(signingIn+"portal: {name: Example, logo: logo.svg, accent_color: \"#aa0000\", providers: [\"*\"]}\n"), files)
	if err != nil {
		t.Fatal(err)
	}
	if c.Brand.Name != "Example" || string(c.Brand.Logo) != "<svg/>" || c.Brand.AccentColor != "#aa0000" {
		t.Errorf("brand = %+v", c.Brand)
	}
	if !slices.Equal(c.Portal, []string{"mailchimp"}) {
		t.Errorf("portal = %+v", c.Portal)
	}
	if c, err = config.Parse("/etc/vault/vault.yaml", []byte(signingIn), files); err != nil || c.Portal != nil {
		t.Errorf("where nothing is written, people who sign in see %+v (%v)", c.Portal, err)
	}
	for written, want := range map[string]string{
		"{logo: away.svg}":                        "vault.yaml:19: portal.logo: cannot be read",
		"{logo: other.key}":                       "vault.yaml:19: portal.logo: is not an image",
		"{accent_color: blue}":                    "vault.yaml:19: portal.accent_color: write a colour as #rrggbb",
		"{providers: [mailchimp, mailchamp]}":     "vault.yaml:19: portal.providers.1: \"mailchamp\" is not among the providers",
		"{nmae: x}":                               "did you mean name?",
		"{name: " + strings.Repeat("x", 61) + "}": "vault.yaml:19: portal.name: at most 60 bytes",
	} {
		if _, err := config.Parse("/etc/vault/vault.yaml", []byte(good+"portal: "+written+"\n"), files); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error = %v, want %q", written, err, want)
		}
	}
	c, err = config.Parse("/etc/vault/vault.yaml", []byte(good+"portal: {providers: [mailchimp]}\n"), files)
	if err != nil || c.Portal != nil || !slices.ContainsFunc(c.Warnings, func(w string) bool { return strings.Contains(w, "portal.providers: nobody sees them without a link") }) {
		t.Errorf("without binding: login: warnings %q, %v", c.Warnings, err)
	}
}
