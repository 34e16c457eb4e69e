package main

import (
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/vault/provider"
)

func TestConfiguredValuesAreShownWithoutKeys(t *testing.T) {
	for _, test := range []struct{ key, value, want string }{
		{"token_params.key", "canary", "(not shown)"},
		{"api_headers.X-Key", "canary{not a placeholder}", "(not shown)"},
		{"api_headers.Authorization", "Bearer {access_token}", "Bearer {access_token}"},
		{"api_headers.Authorization", "canary {access_token}", "…{access_token}"},
		{"after_connect.headers.X-Key", "{client_id}:canary", "{client_id}…"},
		{"after_connect.authorization", "OAuth {access_token}", "OAuth {access_token}"},
		{"after_connect.url", "https://api.example/me?key=canary&token={access_token}", "https://api.example/me?…{access_token}"},
		{"after_connect.url", "https://api.example/me", "https://api.example/me"},
		{"authorize_url", "https://id.example/a?prompt=consent", "https://id.example/a?prompt=consent"},
	} {
		field := provider.Field{Path: strings.Split(test.key, "."), Value: test.value, Origin: provider.OriginConfiguration}
		if got := showValue(field); got != test.want {
			t.Errorf("%s: %s is shown as %s, want %s", test.key, test.value, got, test.want)
		}
		field.Origin = provider.OriginCatalogue
		if got := showValue(field); got != test.value {
			t.Errorf("%s: the catalogue's %s is shown as %s", test.key, test.value, got)
		}
	}
}
