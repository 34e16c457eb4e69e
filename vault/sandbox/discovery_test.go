package sandbox_test

import (
	"strings"
	"testing"
)

func TestAProviderTellsWhatItIs(t *testing.T) {
	a := newParticular(t, nil)
	for _, place := range []string{"https://id.example/tenant/.well-known/openid-configuration", "https://id.example/.well-known/oauth-authorization-server/tenant"} {
		r := a.must(httpRequest(t, "GET", place, ""))
		if r.text("issuer") != "https://id.example/tenant" || r.text("token_endpoint") != "https://api.example/token" || !strings.Contains(r.body, `["client_secret_basic"]`) {
			t.Errorf("%s: status %d: %s", place, r.status, r.body)
		}
	}
	own := newApp(t, nil)
	for _, place := range []string{base + "/oauth/.well-known/openid-configuration", base + "/.well-known/oauth-authorization-server/oauth"} {
		if r := own.must(httpRequest(t, "GET", place, "")); r.text("issuer") != base+"/oauth" || r.text("device_authorization_endpoint") != base+"/oauth/device" {
			t.Errorf("%s: status %d: %s", place, r.status, r.body)
		}
	}
}
