package vaulttest_test

import (
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// acmeKeys is how acme takes API keys in these tests.
func acmeKeys() *provider.APIKey { return &provider.APIKey{Pattern: "key-[a-z0-9]+"} }

func TestAPersonConnectsRefreshesAndDisconnects(t *testing.T) {
	for _, binding := range []vault.Binding{vault.BindingConfirm, vault.BindingLink} {
		t.Run(string(binding), func(t *testing.T) {
			s := vaulttest.New(t, vaulttest.Config{Binding: binding, Audit: true, ReturnURLs: []string{home}})
			v := inPortal(t, s, "alice")
			v.want(http.StatusOK, "Signed in as alice", "Nothing is connected yet")
			if got := v.status("provider-acme"); got != "none" {
				t.Errorf("acme is %q", got)
			}
			v.connect("connect-acme-default", vaulttest.Ada)
			v.want(http.StatusOK, "Acme is connected.", "Ada Lovelace", "ada@example.com", "renewed automatically", "offline_access", "Last used Not yet", "1 connected")
			if got := v.status("connection-acme-default"); got != "connected" || v.at.Path != "/portal" {
				t.Errorf("acme is %q at %v", got, v.at)
			}
			before := credentials(t, s, "alice", "acme")
			v.get("/portal")
			v.wantNot("Acme is connected.", "Last used Not yet") // said once
			v.press("refresh-acme-default")
			v.want(http.StatusOK, "Acme was refreshed")
			if after := credentials(t, s, "alice", "acme"); after.GetGeneration() == before.GetGeneration() {
				t.Error("nothing was refreshed")
			}
			v.follow("disconnect-acme-default")
			v.want(http.StatusOK, "Disconnect Acme?", "Ada Lovelace")
			credentials(t, s, "alice", "acme") // it asks first
			v.press("disconnect-submit")
			v.want(http.StatusOK, "has confirmed that the access is revoked")
			if n := s.Sandbox.LiveFamilies(); n != 0 {
				t.Errorf("%d grants live at the provider", n)
			}
			v.wantRecord("OpenPortal allowed   alice ", "PortalConnect allowed  everything alice acme", "Callback allowed   alice acme",
				"PortalRefresh allowed  everything alice acme", "PortalDisconnect allowed  everything alice acme")
		})
	}
}

// wantRecord fails unless the audit log has these lines of the portal, in their order.
func (v *visitor) wantRecord(want ...string) {
	v.t.Helper()
	for _, e := range entries(v.t, v.s) {
		if len(want) > 0 && what(e) == want[0] {
			if e.Tenant != "default" {
				v.t.Errorf("%q is on record for tenant %q", want[0], e.Tenant)
			}
			want = want[1:]
		}
	}
	for _, missing := range want {
		v.t.Errorf("not on record: %q", missing)
	}
}

func TestDisconnectingSaysWhatIsLeftToDo(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	v := inPortal(t, s, "alice")
	v.connect("connect-mailchimp-default", vaulttest.Ada)
	v.want(http.StatusOK, "Mailchimp is connected.", "Does not expire")
	v.follow("disconnect-mailchimp-default")
	v.press("disconnect-submit")
	v.want(http.StatusOK, "offers no way to revoke the access from here", "remove this app")

	v.connect("connect-acme-default", vaulttest.Ada)
	s.Sandbox.Fault(sandbox.Revoke, sandbox.Fault{Status: 503})
	v.follow("disconnect-acme-default")
	v.press("disconnect-submit")
	v.want(http.StatusOK, "did not confirm that the access is revoked", "in the settings of the Acme account")
}

func TestSeveralAccountsOfOneProvider(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	v := inPortal(t, s, "alice")
	v.connect("connect-acme-default", vaulttest.Ada)
	for _, row := range []struct{ label, want string }{
		{"", "1 to 64 letters"}, {"two words", "1 to 64 letters"}, {"default", "a connection of that name already"},
	} {
		v.get("/portal")
		v.follow("another-acme")
		v.press("connect-submit", "label", row.label)
		v.want(http.StatusUnprocessableEntity, row.want)
	}
	v.press("connect-submit", "label", "work")
	v.consent(vaulttest.Grace)
	v.want(http.StatusOK, "Acme (work) is connected.", "Ada Lovelace", "Grace Hopper", "2 connected")
	v.follow("disconnect-acme-work")
	v.press("disconnect-submit")
	v.want(http.StatusOK, "Acme (work) is disconnected.", "Ada Lovelace")
	v.wantNot("Grace Hopper")
}

func TestAnAPIKeyIsSetAndRemovedAndNeverShown(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{AcmeKeys: acmeKeys()})
	v := inPortal(t, s, "alice")
	v.follow("api-key-acme-default")
	v.press("api-key-submit", "api_key", "wrong canary")
	v.want(http.StatusUnprocessableEntity, "does not look like an API key of Acme")
	v.wantNot("canary")
	v.press("api-key-submit", "api_key", " key-canary1 ")
	v.want(http.StatusOK, "The API key for Acme is stored.", "Stored, and in use.")
	v.wantNot("canary1")
	if got := credentials(t, s, "alice", "acme").GetApiKey().GetKey(); got != "key-canary1" {
		t.Errorf("programs get the key %q", got)
	}
	v.get("/portal/api-key?provider=acme")
	v.wantNot("canary1")
	v.get("/portal")
	v.follow("remove-api-key-acme-default")
	v.want(http.StatusOK, "Remove the API key of Acme?")
	v.press("remove-api-key-submit")
	v.want(http.StatusOK, "is removed here")
	if got := v.status("provider-acme"); got != "none" {
		t.Errorf("acme is %q", got)
	}
	v.get("/portal/api-key/remove?provider=acme")
	v.want(http.StatusOK, "no API key for Acme any more")
}

func TestVariablesAreAskedFor(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{Definitions: map[string]provider.Definition{"shop": {
		DisplayName: "Shop", AuthorizeURL: "https://{store_name}.example.com/authorize", TokenURL: "https://{store_name}.example.com/token",
		ClientAuth: provider.ClientAuthPost, Variables: map[string]provider.Variable{"store_name": {Pattern: "^[a-z0-9-]+$"}},
	}}})
	v := inPortal(t, s, "alice")
	v.follow("connect-shop-default")
	v.want(http.StatusOK, "Store name", "The part of your address at Shop")
	v.press("connect-submit", "param.store_name", "Not <one>")
	v.want(http.StatusUnprocessableEntity, "not a value that Shop takes")
	if !strings.Contains(v.page, `value="Not &lt;one&gt;"`) {
		t.Errorf("what was entered is not there any more:\n%s", v.page)
	}
	v.press("connect-submit", "param.store_name", "acme")
	v.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := v.client.Get(v.sentOn())
	if err != nil {
		t.Fatal(err)
	}
	if s.Body(resp); !strings.HasPrefix(resp.Header.Get("Location"), "https://acme.example.com/authorize?") {
		t.Errorf("the browser goes to %q", resp.Header.Get("Location"))
	}
}

func TestTheStatusIsToldHonestly(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	v := inPortal(t, s, "alice")
	v.connect("connect-acme-default", vaulttest.Ada)
	s.Sandbox.RevokeFamily(s.Sandbox.FamilyOf(credentials(t, s, "alice", "acme").GetOauth2().GetAccessToken()))
	v.press("refresh-acme-default")
	v.want(http.StatusOK, "does not take this connection any more", "Needs attention", "1 to look at")
	if got := v.status("connection-acme-default"); got != "attention" {
		t.Errorf("acme is %q", got)
	}
	v.connect("connect-acme-default", vaulttest.Grace)
	v.want(http.StatusOK, "That was another Acme account")
	v.connect("connect-acme-default", vaulttest.Ada)
	v.want(http.StatusOK, "Acme is connected.")
	v.wantNot("Needs attention")

	s.Sandbox.Fault(sandbox.Token, sandbox.Fault{Status: 503})
	v.press("refresh-acme-default")
	v.want(http.StatusOK, "Acme is not answering as it should. Nothing was changed.")
}

func TestDecliningLeadsBack(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	v := inPortal(t, s, "alice")
	v.press("connect-acme-default")
	v.shown(sandbox.Person{Client: v.client}.Deny(t.Context(), v.sentOn()))
	v.want(http.StatusOK, "Acme was not connected, because access was declined there. Nothing was changed.")
}

func TestDoubleClicksAndStaleForms(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	v := inPortal(t, s, "alice")
	first := *v
	first.press("connect-acme-default")
	second := *v
	second.press("connect-acme-default")
	if first.sentOn() == second.sentOn() {
		t.Error("two clicks share one flow")
	}
	second.consent(vaulttest.Ada)
	second.want(http.StatusOK, "Acme is connected.")
	generation := credentials(t, s, "alice", "acme").GetGeneration()

	// Back, to the form that has done its work.
	second.get("/portal")
	second.follow("disconnect-acme-default")
	twice := second
	second.press("disconnect-submit")
	twice.press("disconnect-submit")
	twice.want(http.StatusOK, "Acme was not connected any more. Nothing was changed.")
	first.get(first.sentOn()) // the first click's flow was begun before
	first.want(http.StatusBadRequest, "The account was disconnected after this link was made", "Back to your connections")
	_, err := s.Client.GetConnection(t.Context(), &tokenvaultv1.GetConnectionRequest{Subject: "alice", Provider: "acme"})
	wantError(t, err, codes.NotFound, "NOT_CONNECTED")
	second.get("/portal/disconnect?provider=acme")
	second.want(http.StatusOK, "Acme was not connected any more")
	if generation == 0 {
		t.Error("nothing was connected")
	}
}

func TestThePageAtTheEndLoadedOnceMore(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	v := inPortal(t, s, "alice")
	v.press("connect-acme-default")
	_, callback := stoppedBefore(t, s, v.client, v.sentOn(), "/oauth/acme/callback")
	v.client.CheckRedirect = nil
	v.get(callback)
	v.want(http.StatusOK, "Acme is connected.")
	v.get(callback)
	v.want(http.StatusBadRequest, "There is nothing left to do here", "Back to your connections")
	v.get("/portal")
	v.want(http.StatusOK, "Ada Lovelace")
}
