package vaulttest_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/secret"
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

func TestALinkPutsNoWordsIntoThePortal(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{AcmeKeys: acmeKeys()})
	v := inPortal(t, s, "alice")
	v.connect("connect-acme-default", vaulttest.Ada)
	for _, words := range []string{"Your account is locked. Call +1 900 555 0100", "Call-1.900.555.0100"} {
		for _, path := range []string{"/portal/connect", "/portal/disconnect", "/portal/api-key", "/portal/api-key/remove"} {
			for _, more := range []string{"", "&another=1"} {
				v.get(path + "?provider=acme&label=" + url.QueryEscape(words) + more)
				v.wantNot(words)
				v.get("/portal") // where a note would be
				v.wantNot(words)
			}
		}
		_, fields := v.form("sign-out")
		fields.Set("provider", "acme")
		fields.Set("label", words)
		if !strings.Contains(words, " ") {
			continue // a form of one's own may say it
		}
		for _, path := range []string{"/portal/connect", "/portal/refresh", "/portal/disconnect", "/portal/api-key", "/portal/api-key/remove"} {
			v.send(path, fields)
			v.want(http.StatusOK, "Your connections")
			v.wantNot(words)
		}
	}
}

func TestALinkChoosesNoLabel(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{AcmeKeys: acmeKeys()})
	v := inPortal(t, s, "alice")
	v.get("/portal/connect?provider=acme&label=evil")
	v.want(http.StatusOK, "A name for this connection")
	v.get("/portal/api-key?provider=acme&label=evil")
	v.want(http.StatusOK, "Use an API key for Acme", "A name for this connection")
	v.wantNot("evil")
	form := *v
	for _, row := range []struct {
		label, key string
		code       int
		want       string
	}{
		{"", "key-1", http.StatusUnprocessableEntity, "1 to 64 letters"},
		{"two words", "key-1", http.StatusUnprocessableEntity, "1 to 64 letters"},
		{"work", "wrong", http.StatusUnprocessableEntity, "does not look like an API key of Acme"},
		{"work", "key-1", http.StatusOK, "The API key for Acme (work) is stored."},
		{"work", "key-2", http.StatusUnprocessableEntity, "a connection of that name already"},
	} {
		at := form
		at.press("api-key-submit", "label", row.label, "api_key", row.key)
		at.want(row.code, row.want)
		if row.code != http.StatusOK && !strings.Contains(at.page, `name="label" type="text" value="`+row.label+`"`) {
			t.Errorf("the label %q is not there any more:\n%s", row.label, at.page)
		}
	}
	v.get("/portal")
	v.follow("api-key-acme-work") // the link of a connection that there is
	v.want(http.StatusOK, "Use an API key for Acme (work)")
	v.wantNot("A name for this connection")
	v.press("api-key-submit", "api_key", "key-3")
	v.want(http.StatusOK, "The API key for Acme (work) is stored.")
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

func TestALinkOpensThePortalOnce(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{Audit: true})
	link := portalLink(t, s.Client, "alice")
	v, other := newVisitor(t, s), newVisitor(t, s)
	for range 3 { // as chat programs do
		v.get(link)
		v.want(http.StatusOK, "This opens the connections of alice")
	}
	other.get(link) // in another tab
	v.press("open-submit")
	v.want(http.StatusOK, "Signed in as alice")
	other.press("open-submit")
	other.want(http.StatusBadRequest, "This link has been used already", "Nothing was changed", "Go back to the program")
	other.get("/portal")
	other.want(http.StatusUnauthorized, "You are not signed in")
	v.get(link) // with the back button
	v.want(http.StatusBadRequest, "used already", "Back to your connections")
	v.follow("next")
	v.want(http.StatusOK, "Your connections")
	if got := onRecord(t, s, "SESSION_USED"); len(got) != 2 || got[0] != "OpenPortal failed SESSION_USED  alice  " {
		t.Errorf("on record: %q", got)
	}
}

func TestOfTwoTabsAtOnceOneOpensThePortal(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	link, err := url.Parse(portalLink(t, s.Client, "alice"))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	opened := 0
	var tabs sync.WaitGroup
	for range 8 {
		tabs.Go(func() {
			resp, err := s.NewBrowser().PostForm(s.GatewayURL+"/portal/open", url.Values{"link": {link.Query().Get("link")}})
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			mu.Lock()
			defer mu.Unlock()
			if resp.StatusCode == http.StatusOK {
				opened++
			}
		})
	}
	tabs.Wait()
	if opened != 1 {
		t.Errorf("the link has opened the portal %d times, want 1", opened)
	}
}

func TestLinksAndSignInsEnd(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	v := newVisitor(t, s)
	link := portalLink(t, s.Client, "alice")
	v.get(link)
	s.Clock.Advance(vault.PortalLinkLifetime)
	v.press("open-submit")
	v.want(http.StatusBadRequest, "This link does not work any more", "five minutes")
	for _, forged := range []string{"", "x", strings.Repeat("A", 43)} {
		v.get("/portal/open?link=" + forged)
		v.want(http.StatusBadRequest, "This link does not work any more")
	}

	v.enter(portalLink(t, s.Client, "alice"))
	v.connect("connect-acme-default", vaulttest.Ada)
	s.Clock.Advance(vault.SignInLifetime)
	for _, button := range []string{"refresh-acme-default", "sign-out"} {
		stale := *v
		stale.press(button)
		if button == "sign-out" {
			stale.want(http.StatusOK, "You are signed out")
			continue
		}
		stale.want(http.StatusUnauthorized, "You are not signed in here, or not any more. Nothing was changed.")
	}
	s.Restart() // what is past its end is no more
	v.get("/portal/changes")
	if v.code != http.StatusUnauthorized {
		t.Errorf("the script is answered with %d", v.code)
	}
}

func TestSigningOutEndsIt(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{Audit: true})
	v := inPortal(t, s, "alice")
	u, err := url.Parse(s.GatewayURL)
	if err != nil {
		t.Fatal(err)
	}
	kept := v.client.Jar.Cookies(u)
	v.press("sign-out")
	v.want(http.StatusOK, "You are signed out", "Your connections go on working")
	v.get("/portal")
	v.want(http.StatusUnauthorized, "You are not signed in")
	v.client.Jar.SetCookies(u, kept) // a copy of the cookie is of no use
	v.get("/portal")
	v.want(http.StatusUnauthorized, "You are not signed in")
	v.wantRecord("SignOut allowed  everything alice ")
}

func TestSigningOutNeedsNoAuditLog(t *testing.T) {
	t.Parallel() // health is looked at once a second
	s := vaulttest.New(t, vaulttest.Config{Audit: true})
	v := inPortal(t, s, "alice")
	u, err := url.Parse(s.GatewayURL)
	if err != nil {
		t.Fatal(err)
	}
	kept := v.client.Jar.Cookies(u)
	folder := filepath.Dir(s.AuditPath)
	if err := os.Rename(folder, folder+".away"); err != nil {
		t.Fatal(err)
	}
	if err := s.Audit.Reopen(t.Context()); err == nil {
		t.Fatal("a log without a folder was opened")
	}
	other := *v
	other.press("sign-out")
	other.want(http.StatusServiceUnavailable, "You are signed out", "there is perhaps no record of it")
	for _, cookie := range v.client.Jar.Cookies(u) {
		if strings.Contains(cookie.Name, "sign-in") || strings.Contains(cookie.Name, "note") {
			t.Errorf("the browser keeps %s", cookie.Name)
		}
	}
	v.client.Jar.SetCookies(u, kept)
	if err := os.Rename(folder+".away", folder); err != nil {
		t.Fatal(err)
	}
	if err := s.Audit.Reopen(t.Context()); err != nil {
		t.Fatal(err)
	}
	v.get("/portal")
	v.want(http.StatusUnauthorized, "You are not signed in")
}

func TestFormsOfOthersAreRefused(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{AcmeKeys: acmeKeys()})
	v, other := inPortal(t, s, "alice"), inPortal(t, s, "alice")
	v.connect("connect-acme-default", vaulttest.Ada)
	_, foreign := other.form("sign-out")
	_, own := v.form("sign-out")
	actions := []string{"/portal/connect", "/portal/refresh", "/portal/disconnect", "/portal/api-key", "/portal/api-key/remove", "/portal/sign-out"}
	for _, row := range []struct {
		name, token string
		header      http.Header
	}{
		{"without a token", "", nil},
		{"with a made-up token", strings.Repeat("A", 43), nil},
		{"with the token of another sign-in", foreign.Get("form"), nil},
		{"from another site, by an older browser", own.Get("form"), http.Header{"Origin": {"https://evil.example"}}},
		{"from a page that hides its origin", own.Get("form"), http.Header{"Origin": {"null"}}},
		{"from another site", own.Get("form"), http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}}},
		{"from a neighbour", own.Get("form"), http.Header{"Sec-Fetch-Site": {"same-site"}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, action := range actions {
				form := url.Values{"form": {row.token}, "provider": {"acme"}, "label": {"default"}, "api_key": {"key-1"}}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.GatewayURL+action, strings.NewReader(form.Encode()))
				if err != nil {
					t.Fatal(err)
				}
				req.Header = row.header.Clone()
				if req.Header == nil {
					req.Header = http.Header{}
				}
				req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				at := visitor{t: t, s: s, client: v.client}
				at.shown(v.client.Do(req))
				at.want(http.StatusForbidden, "This page is out of date", "Nothing was changed", "Back to your connections")
			}
		})
	}
	conn, err := s.Client.GetConnection(t.Context(), &tokenvaultv1.GetConnectionRequest{Subject: "alice", Provider: "acme"})
	if err != nil || conn.GetConnection().GetHasApiKey() || conn.GetConnection().GetGeneration() != 1 {
		t.Errorf("something was changed: %v, %v", conn, err)
	}
	v.get("/portal")
	v.want(http.StatusOK, "Signed in as alice")
}

func TestALinkIsOpenedFromThisSiteAlone(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	link, err := url.Parse(portalLink(t, s.Client, "mallory"))
	if err != nil {
		t.Fatal(err)
	}
	v := inPortal(t, s, "alice")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.GatewayURL+"/portal/open", strings.NewReader(url.Values{"link": {link.Query().Get("link")}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Sec-Fetch-Site": {"cross-site"}}
	v.shown(v.client.Do(req))
	v.want(http.StatusForbidden)
	v.get("/portal")
	v.want(http.StatusOK, "Signed in as alice")
}

func TestAFormOfASignInThatWasReplacedDoesNothing(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	v := inPortal(t, s, "alice")
	v.connect("connect-acme-default", vaulttest.Ada)
	v.follow("disconnect-acme-default")
	tab := *v
	v.enter(portalLink(t, s.Client, "bob")) // in another tab
	tab.press("disconnect-submit")
	tab.want(http.StatusForbidden, "You have signed in again since the page was loaded")
	credentials(t, s, "alice", "acme")
	v.get("/portal")
	v.want(http.StatusOK, "Signed in as bob")
	v.wantNot("Ada Lovelace", "alice")
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

// otherTenant is a caller of another tenant, that may use acme alone.
func otherTenant() (access.Rule, secret.String) {
	token := access.GenerateToken()
	return access.Rule{
		Name: "other", Tokens: access.HashTokens(token), Tenant: "other", RPCs: []string{"*"}, Providers: []string{"acme"}, Subjects: []string{"alice"},
	}, token
}

func TestASignInReachesItsOwnConnectionsAlone(t *testing.T) {
	rule, token := otherTenant()
	s := vaulttest.New(t, vaulttest.Config{Rules: []access.Rule{rule}, Audit: true})
	ours := inPortal(t, s, "alice")
	ours.connect("connect-acme-default", vaulttest.Ada)
	ours.connect("connect-mailchimp-default", vaulttest.Ada)

	other := tokenvaultv1.NewVaultServiceClient(s.Dial(token))
	theirs := newVisitor(t, s)
	theirs.enter(portalLink(t, other, "alice")) // the same name, in another tenant
	theirs.wantNot("Ada Lovelace", "Mailchimp", "mailchimp")
	if got := theirs.status("provider-acme"); got != "none" {
		t.Errorf("acme is %q", got)
	}
	for action, button := range map[string]string{"/portal/connect": "sign-out", "/portal/refresh": "sign-out", "/portal/disconnect": "sign-out", "/portal/api-key": "sign-out"} {
		at := *theirs
		_, fields := at.form(button)
		fields.Set("provider", "mailchimp")
		fields.Set("subject", "alice")
		fields.Set("tenant", "default")
		fields.Set("api_key", strings.Repeat("0", 32)+"-us6")
		at.send(action, fields)
		at.want(http.StatusOK, "That is not something that you can do here. Nothing was changed.")
	}
	for _, path := range []string{"/portal/connect", "/portal/disconnect", "/portal/api-key", "/portal/api-key/remove"} {
		at := *theirs
		at.get(path + "?provider=mailchimp&subject=alice&tenant=default")
		at.want(http.StatusOK, "That is not something that you can do here")
	}
	credentials(t, s, "alice", "mailchimp")
	credentials(t, s, "alice", "acme")
	if got := onRecord(t, s, "CALLER_FORBIDDEN"); len(got) != 3 { // setting up a form asks for nothing
		t.Errorf("on record: %q", got)
	}

	_, err := other.CreatePortalSession(t.Context(), &tokenvaultv1.CreatePortalSessionRequest{Subject: "bob"})
	wantError(t, err, codes.PermissionDenied, "CALLER_FORBIDDEN")
	_, err = s.Client.CreatePortalSession(t.Context(), &tokenvaultv1.CreatePortalSessionRequest{Subject: "alice", ReturnUrl: "https://evil.example/"})
	wantError(t, err, codes.InvalidArgument, "INVALID_RETURN_URL")
	_, err = s.Client.CreatePortalSession(t.Context(), &tokenvaultv1.CreatePortalSessionRequest{})
	wantError(t, err, codes.InvalidArgument, "INVALID_SUBJECT")
}

func TestALinkLetsDoWhatItsMakerMay(t *testing.T) {
	actions := []struct{ rpc, path, button string }{
		{"Connect", "/portal/connect", "another-acme"},
		{"RefreshConnection", "/portal/refresh", "refresh-acme-default"},
		{"Disconnect", "/portal/disconnect", "disconnect-acme-default"},
		{"SetAPIKey", "/portal/api-key", "api-key-acme-default"},
		{"DeleteAPIKey", "/portal/api-key/remove", "remove-api-key-acme-default"},
	}
	const refused = "That is not something that you can do here. Nothing was changed."
	for _, allowed := range []string{"nothing", "Connect", "RefreshConnection", "Disconnect", "SetAPIKey", "DeleteAPIKey"} {
		t.Run(allowed, func(t *testing.T) {
			rule, token := linkMaker("GetConnection")
			if allowed != "nothing" {
				rule.RPCs = append(rule.RPCs, allowed)
			}
			s := vaulttest.New(t, vaulttest.Config{AcmeKeys: acmeKeys(), Rules: []access.Rule{rule}, Audit: true})
			connectedWithKey(t, s)
			v := newVisitor(t, s)
			v.enter(portalLink(t, tokenvaultv1.NewVaultServiceClient(s.Dial(token)), "alice"))
			v.want(http.StatusOK, "Ada Lovelace")
			shown := *v
			for _, action := range actions {
				if got := strings.Contains(shown.page, `id="`+action.button+`"`); got != (action.rpc == allowed) {
					t.Errorf("the button %s is shown: %v", action.button, got)
				}
				if action.rpc == allowed {
					continue
				}
				_, fields := shown.form("sign-out")
				fields.Set("provider", "acme")
				fields.Set("api_key", "key-2")
				v.send(action.path, fields)
				v.want(http.StatusOK, refused)
			}
			if got := onRecord(t, s, "CALLER_FORBIDDEN"); len(got) < 4 || !strings.HasSuffix(got[3], "denied CALLER_FORBIDDEN links alice acme ") {
				t.Errorf("on record: %q", got)
			}
			if creds := credentials(t, s, "alice", "acme"); creds.GetOauth2() == nil || s.Sandbox.LiveFamilies() != 1 {
				t.Error("what is forbidden has been done")
			}
			for _, action := range actions {
				if action.rpc == allowed {
					_, fields := shown.form("sign-out")
					fields.Set("provider", "acme")
					fields.Set("api_key", "key-2")
					v.send(action.path, fields)
					v.wantNot(refused)
				}
			}
		})
	}
}

// linkMaker is a caller that makes links to the portal, and may call these RPCs.
func linkMaker(rpcs ...string) (access.Rule, secret.String) {
	token := access.GenerateToken()
	return access.Rule{
		Name: "links", Tokens: access.HashTokens(token), Tenant: vault.DefaultTenant, RPCs: append(rpcs, "CreatePortalSession"), Providers: []string{"acme"}, Subjects: []string{"*"},
	}, token
}

// connectedWithKey connects an account of acme for alice, and stores an API key beside
// it.
func connectedWithKey(t *testing.T, s *vaulttest.Stack) {
	t.Helper()
	s.Connect("alice", "acme", vaulttest.Ada)
	if _, err := s.Client.SetAPIKey(t.Context(), &tokenvaultv1.SetAPIKeyRequest{Subject: "alice", Provider: "acme", ApiKey: "key-1"}); err != nil {
		t.Fatal(err)
	}
}

func TestWhoMayNotReadMakesNoLinks(t *testing.T) {
	rule, token := linkMaker("Connect", "GetCredentials")
	s := vaulttest.New(t, vaulttest.Config{Rules: []access.Rule{rule}})
	_, err := tokenvaultv1.NewVaultServiceClient(s.Dial(token)).CreatePortalSession(t.Context(), &tokenvaultv1.CreatePortalSessionRequest{Subject: "alice"})
	wantError(t, err, codes.PermissionDenied, "CALLER_FORBIDDEN")
}

func TestAFlowOfThePortalEndsInTheBrowserOfItsPersonAlone(t *testing.T) {
	rule, token := otherTenant()
	narrow := access.GenerateToken()
	narrowRule := access.Rule{
		Name: "narrow", Tokens: access.HashTokens(narrow), Tenant: vault.DefaultTenant, RPCs: []string{"*"}, Providers: []string{"mailchimp"}, Subjects: []string{"*"},
	}
	for _, row := range []struct {
		name string
		then func(t *testing.T, s *vaulttest.Stack, v *visitor)
	}{
		{"nobody is signed in any more", func(_ *testing.T, _ *vaulttest.Stack, v *visitor) {
			at := *v
			at.get("/portal")
			at.press("sign-out")
		}},
		{"somebody else is", func(t *testing.T, s *vaulttest.Stack, v *visitor) {
			at := *v
			at.enter(portalLink(t, s.Client, "bob"))
		}},
		{"somebody of that name is, of another tenant", func(t *testing.T, s *vaulttest.Stack, v *visitor) {
			at := *v
			at.enter(portalLink(t, tokenvaultv1.NewVaultServiceClient(s.Dial(token)), "alice"))
		}},
		{"they are, but not for that provider", func(t *testing.T, s *vaulttest.Stack, v *visitor) {
			at := *v
			at.enter(portalLink(t, tokenvaultv1.NewVaultServiceClient(s.Dial(narrow)), "alice"))
		}},
	} {
		for _, binding := range []vault.Binding{vault.BindingConfirm, vault.BindingLink} {
			t.Run(row.name+", "+string(binding), func(t *testing.T) {
				s := vaulttest.New(t, vaulttest.Config{Binding: binding, ReturnURLs: []string{home}, Rules: []access.Rule{rule, narrowRule}, Audit: true})
				v := inPortal(t, s, "alice")
				v.press("connect-acme-default")
				link := v.sentOn()
				_, callback := stoppedBefore(t, s, v.client, link, "/oauth/acme/callback")
				v.client.CheckRedirect = nil
				row.then(t, s, v)
				v.get(callback)
				v.want(http.StatusForbidden, "This link is for somebody else", "Nothing was connected")
				v.wantNot("alice")
				wantNothing(t, s, "alice", "bob")
				v.get(link) // nor does it begin there
				v.want(http.StatusForbidden, "This link is for somebody else")
				elsewhere := newVisitor(t, s)
				elsewhere.get(link)
				elsewhere.want(http.StatusForbidden, "This link is for somebody else")
				got := onRecord(t, s, "SESSION_WRONG_SUBJECT")
				if len(got) != 3 || got[0] != "Callback failed SESSION_WRONG_SUBJECT  alice acme default" || got[1] != "Authorize failed SESSION_WRONG_SUBJECT  alice acme default" {
					t.Errorf("on record: %q", got)
				}
			})
		}
	}
}

func TestThePortalBehindTheOperatorsSignIn(t *testing.T) {
	issuer := vaulttest.NewIssuer(t, nil)
	s := vaulttest.New(t, vaulttest.Config{
		Binding: vault.BindingLogin, Issuer: issuer, Audit: true, Portal: []string{"acme"},
	})
	issuer.SignInAs("alice", nil)
	v := newVisitor(t, s)
	v.get("/portal")
	v.want(http.StatusUnauthorized, "Sign in to see your connections")
	v.press("sign-in-submit")
	v.get(v.sentOn())
	v.want(http.StatusOK, "Signed in as alice")
	v.wantNot("Mailchimp") // which the configuration does not name
	v.connect("connect-acme-default", vaulttest.Ada)
	v.want(http.StatusOK, "Acme is connected.")

	// With a link, the person has to be the one whom it is for.
	link := portalLink(t, s.Client, "alice")
	issuer.SignInAs("bob", nil)
	bob := newVisitor(t, s)
	bob.get(link)
	bob.press("open-submit")
	bob.get(bob.sentOn())
	bob.want(http.StatusForbidden, "Nothing was changed")
	bob.wantNot("alice")
	bob.wantRecord("LoginCallback allowed   alice ", "LoginCallback failed SESSION_WRONG_SUBJECT  bob ")
	bob.get("/portal")
	bob.want(http.StatusUnauthorized)
	issuer.SignInAs("alice", nil)
	v.get(portalLink(t, s.Client, "alice"))
	v.press("open-submit")
	v.get(v.sentOn())
	v.want(http.StatusOK, "Signed in as alice", "Mailchimp")

	// The provider of sign-ins is down: the link stays good.
	s.Restart()
	issuer.Answer(http.StatusServiceUnavailable)
	v.get(portalLink(t, s.Client, "alice"))
	again := *v
	v.press("open-submit")
	v.want(http.StatusBadRequest, "Signing in did not work", "Try again in a few minutes")
	issuer.Answer(0)
	again.press("open-submit")
	again.get(again.sentOn())
	again.want(http.StatusOK, "Signed in as alice")
}

func TestSigningInAfterSigningOutAsksWhoItIs(t *testing.T) {
	issuer := vaulttest.NewIssuer(t, nil)
	s := vaulttest.New(t, vaulttest.Config{Binding: vault.BindingLogin, Issuer: issuer, Portal: []string{"acme"}})
	issuer.SignInAs("alice", nil)
	v := newVisitor(t, s)
	v.get("/portal")
	v.press("sign-in-submit")
	v.get(v.sentOn())
	v.press("sign-out")
	v.want(http.StatusOK, "You are signed out")
	issuer.SignInAs("bob", nil) // the next at the computer
	v.press("signed-out-submit")
	v.get(v.sentOn())
	v.want(http.StatusOK, "Signed in as bob")
	if got := issuer.Prompts(); !slices.Equal(got, []string{"", "login"}) {
		t.Errorf("the issuer is asked with the prompts %q", got)
	}
}

func TestWithoutAScopePeopleWhoSignInSeeNothing(t *testing.T) {
	s, issuer := newSigningIn(t)
	issuer.SignInAs("alice", nil)
	v := newVisitor(t, s)
	if code, page := approve(t, s, v.client, linkFor(t, s, "alice", "").GetConnectUrl()); code != http.StatusOK {
		t.Fatalf("%d:\n%s", code, page)
	}
	v.get("/portal")
	v.want(http.StatusUnauthorized, "Go back to the program")
	v.send("/portal/sign-in", nil)
	v.want(http.StatusUnauthorized)
}

func TestALinkAloneIsNoSignInWhereTheOperatorsCounts(t *testing.T) {
	// Signed in by a link under another binding, in the half hour before.
	s := vaulttest.New(t, vaulttest.Config{Binding: vault.BindingConfirm, ReturnURLs: []string{home}})
	v := inPortal(t, s, "alice")
	s.Rebind(vault.BindingLogin, vaulttest.NewIssuer(t, nil))
	v.get("/portal")
	v.want(http.StatusUnauthorized, "You are not signed in")
}

func TestNothingThatPeopleNameIsTakenForMarkup(t *testing.T) {
	const evil = `<img src=x onerror=alert(1)>"'{{.}}</script>`
	accounts := sandbox.DefaultAccounts()
	accounts[0].Person, accounts[0].Email = evil, evil
	s := vaulttest.New(t, vaulttest.Config{Accounts: accounts, Definitions: map[string]provider.Definition{"evil": {
		DisplayName: evil, AuthorizeURL: "https://a.example/authorize", TokenURL: "https://a.example/token", ClientAuth: provider.ClientAuthPost,
		DisconnectHint: evil,
	}}})
	v := newVisitor(t, s)
	v.get(portalLink(t, s.Client, evil))
	escaped := func() {
		t.Helper()
		if strings.Contains(v.page, "<img src=x") || strings.Contains(v.page, "onerror=alert(1)>\"") {
			t.Errorf("markup of others is in the page:\n%s", v.page)
		}
	}
	escaped()
	v.want(http.StatusOK, evil)
	v.press("open-submit")
	escaped()
	v.want(http.StatusOK, evil)
	v.connect("connect-acme-default", vaulttest.Ada)
	v.want(http.StatusOK, "Acme is connected.", evil)
	escaped()
	if !strings.Contains(v.page, "<bdi>&lt;img") {
		t.Errorf("the account's name may turn the direction of what is around it:\n%s", v.page)
	}
	v.follow("disconnect-acme-default")
	v.want(http.StatusOK, evil)
	escaped()
	for _, path := range []string{"/portal/connect", "/portal/api-key", "/portal/disconnect", "/portal/api-key/remove"} {
		for _, query := range []url.Values{{"provider": {evil}}, {"provider": {"acme"}, "label": {evil}}, {"provider": {"evil"}, "label": {evil}}, {"provider": {"evil"}, "another": {evil}}} {
			v.get(path + "?" + query.Encode())
			escaped()
		}
	}
	v.get("/portal/open?link=" + url.QueryEscape(evil))
	escaped()
}

func TestNoSecretIsInAnyPage(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{AcmeKeys: acmeKeys()})
	v := newVisitor(t, s)
	seen := &recorder{next: http.DefaultTransport}
	v.client.Transport = seen
	v.enter(portalLink(t, s.Client, "alice"))
	v.connect("connect-acme-default", vaulttest.Ada)
	v.follow("api-key-acme-default")
	v.press("api-key-submit", "api_key", "key-canary")
	v.press("refresh-acme-default")
	v.follow("disconnect-acme-default")
	access := credentials(t, s, "alice", "acme").GetOauth2().GetAccessToken()
	u, err := url.Parse(s.GatewayURL)
	if err != nil {
		t.Fatal(err)
	}
	canaries := map[string]string{"access token": access, "API key": "canary", "caller token": s.Token.Reveal()}
	for _, cookie := range v.client.Jar.Cookies(u) {
		canaries["cookie "+cookie.Name] = cookie.Value
	}
	for name, canary := range canaries {
		for _, page := range seen.all() {
			if strings.Contains(page, canary) {
				t.Errorf("the %s is in a page:\n%s", name, page)
			}
		}
	}
	if len(seen.all()) < 8 {
		t.Errorf("only %d pages were seen", len(seen.all()))
	}
}

// recorder keeps the bodies of the gateway's pages.
type recorder struct {
	next  http.RoundTripper
	mu    sync.Mutex
	pages []string
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.next.RoundTrip(req)
	if err != nil || !strings.HasPrefix(req.URL.Path, "/portal") {
		return resp, err
	}
	copied := httptest.NewRecorder()
	if _, err := copied.Body.ReadFrom(resp.Body); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pages = append(r.pages, copied.Body.String())
	resp.Body = copied.Result().Body
	return resp, nil
}

func (r *recorder) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pages
}

func TestThePageIsToldOfChanges(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{Audit: true})
	v := inPortal(t, s, "alice")
	version := func() string {
		_, rest, _ := strings.Cut(v.page, `data-version="`)
		found, _, _ := strings.Cut(rest, `"`)
		return found
	}
	before := version()
	told := make(chan string, 1)
	go func() {
		resp, err := v.client.Get(s.GatewayURL + "/portal/changes?version=" + url.QueryEscape(before))
		if err != nil {
			told <- err.Error()
			return
		}
		told <- s.Body(resp)
	}()
	s.Connect("bob", "acme", vaulttest.Grace) // is none of alice's business
	s.Connect("alice", "acme", vaulttest.Ada)
	if got := strings.TrimSpace(<-told); got != `{"changed":true}` {
		t.Errorf("the page is told %s", got)
	}
	at := *v
	at.get("/portal/changes?version=" + url.QueryEscape(before)) // what came while it did not ask
	at.want(http.StatusOK)
	if !strings.Contains(at.page, "true") {
		t.Errorf("the page is told %s", at.page)
	}
	v.get("/portal")
	if version() == before {
		t.Error("the version is still the same")
	}
	for _, e := range entries(t, s) {
		if e.RPC == "WaitPortal" {
			t.Error("waiting is on record")
		}
	}
}

func TestWhoHasSignedOutIsToldOfNoChanges(t *testing.T) {
	for name, end := range map[string]func(s *vaulttest.Stack, cookie secret.String) error{
		"signed out":    func(s *vaulttest.Stack, cookie secret.String) error { return s.Vault.SignOut(t.Context(), cookie) },
		"for long past": func(s *vaulttest.Stack, _ secret.String) error { s.Clock.Advance(vault.SignInLifetime); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			s := vaulttest.New(t, vaulttest.Config{})
			cookie := signInCookie(t, inPortal(t, s, "alice"))
			person, err := s.Vault.Person(t.Context(), cookie)
			if err != nil {
				t.Fatal(err)
			}
			if changed, err := s.Vault.WaitPortal(t.Context(), person, "another"); !changed || err != nil {
				t.Fatalf("who is signed in is told %v, %v", changed, err)
			}
			if err := end(s, cookie); err != nil {
				t.Fatal(err)
			}
			changed, err := s.Vault.WaitPortal(t.Context(), person, "another")
			if refusal, ok := errors.AsType[*vault.Error](err); changed || !ok || refusal.Reason != vault.SignInRequired {
				t.Errorf("the one who waits is told %v, %v", changed, err)
			}
		})
	}
}

// signInCookie is the cookie of a visitor's sign-in.
func signInCookie(t *testing.T, v *visitor) secret.String {
	t.Helper()
	u, err := url.Parse(v.s.GatewayURL)
	if err != nil {
		t.Fatal(err)
	}
	for _, cookie := range v.client.Jar.Cookies(u) {
		if strings.Contains(cookie.Name, "sign-in") {
			return secret.New(cookie.Value)
		}
	}
	t.Fatal("nobody is signed in")
	return secret.String{}
}

func TestThePortalIsForTheGatewayAlone(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	inPortal(t, s, "alice")
	_, err := tokenvaultv1.NewPortalServiceClient(s.Conn).GetPortal(t.Context(), &tokenvaultv1.GetPortalRequest{})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("the gRPC listener answers with %v", err)
	}
}

// BenchmarkPortal loads the portal of a person with 50 connections: the median time
// until its page is there, through the gateway.
func BenchmarkPortal(b *testing.B) {
	s := vaulttest.New(b, vaulttest.Config{Audit: true})
	for i := range 50 {
		key := vault.Key{Tenant: vault.DefaultTenant, Subject: "alice", Provider: "mailchimp", Label: fmt.Sprint("account-", i)}
		if _, err := s.Vault.SetAPIKey(b.Context(), key, secret.New(strings.Repeat("0", 32)+"-us6"), nil); err != nil {
			b.Fatal(err)
		}
	}
	resp, err := s.Client.CreatePortalSession(b.Context(), &tokenvaultv1.CreatePortalSessionRequest{Subject: "alice"})
	if err != nil {
		b.Fatal(err)
	}
	link, err := url.Parse(resp.GetPortalUrl())
	if err != nil {
		b.Fatal(err)
	}
	browser := s.NewBrowser()
	page, err := browser.PostForm(s.GatewayURL+"/portal/open", url.Values{"link": {link.Query().Get("link")}})
	if err != nil {
		b.Fatal(err)
	}
	if body := s.Body(page); strings.Count(body, "<article") != 50 {
		b.Fatalf("the page does not show 50 connections:\n%s", body)
	}
	var times []float64
	for b.Loop() {
		began := time.Now()
		page, err := browser.Get(s.GatewayURL + "/portal")
		if err != nil {
			b.Fatal(err)
		}
		s.Body(page)
		times = append(times, time.Since(began).Seconds()*1000)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(times), "median-ms")
}

// TestASignInEndsWhateverIsDoneWithIt begins flows again and again, each of which may
// have the sign-in last as long as it does.
func TestASignInEndsWhateverIsDoneWithIt(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	v := inPortal(t, s, "alice")
	_, fields := v.form("sign-out")
	fields.Set("provider", "acme")
	end := s.Clock.Now().Add(vault.SignInLifetime + vault.SessionLifetime + 2*time.Minute)
	for s.Clock.Now().Before(end) {
		s.Clock.Advance(5 * time.Minute)
		v.send("/portal/connect", fields)
	}
	v.get("/portal")
	v.want(http.StatusUnauthorized)
}
