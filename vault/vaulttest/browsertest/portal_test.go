package browsertest

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// Headings of the portal, and of the sandbox's page to which it leads.
const (
	portal      = "Your connections"
	acmeConsent = "Allow access to Sandbox ID?"
)

// newPortal starts a vault with a portal, whose provider acme takes API keys too.
func newPortal(t *testing.T) *vaulttest.Stack {
	t.Helper()
	return vaulttest.New(t, vaulttest.Config{AcmeKeys: &provider.APIKey{Pattern: `ak_[a-z]+`, Authorization: "Bearer {api_key}"}})
}

func portalLink(t *testing.T, s *vaulttest.Stack, subject string) string {
	t.Helper()
	resp, err := s.Client.CreatePortalSession(t.Context(), &tokenvaultv1.CreatePortalSessionRequest{Subject: subject})
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetPortalUrl()
}

// openPortal signs somebody in.
func openPortal(t *testing.T, s *vaulttest.Stack, b *Browser, subject string) *Tab {
	t.Helper()
	tab := b.Open(portalLink(t, s, subject))
	tab.See("Open your connections")
	tab.Press("Continue")
	tab.See(portal)
	return tab
}

// connectAcme connects an account in the portal.
func connectAcme(tab *Tab) {
	tab.t.Helper()
	tab.Press("Connect Acme")
	tab.See(acmeConsent)
	tab.Press("Allow")
	tab.See(portal)
	tab.Read("Acme is connected.")
}

// acme is what a subject has at acme.
func acme(t *testing.T, s *vaulttest.Stack, subject string) *tokenvaultv1.Connection {
	t.Helper()
	resp, err := s.Client.GetConnection(t.Context(), &tokenvaultv1.GetConnectionRequest{Subject: subject, Provider: "acme"})
	if err != nil {
		return nil
	}
	return resp.GetConnection()
}

func TestALinkToThePortalWorksOnce(t *testing.T) {
	t.Parallel()
	s := newPortal(t)
	link := portalLink(t, s, "alice")
	tab := chromium.NewBrowser(t).Open(link)
	tab.See("Open your connections")
	tab.Inspect("portal-open")
	tab.Press("Continue")
	tab.SeeIn("p", "You are signed in.")
	tab.Inspect("portal-empty")
	bobs := chromium.NewBrowser(t).Open(link)
	bobs.See("This link has been used already")
	bobs.Inspect("portal-link-used")
	bobs.Visit(s.GatewayURL + "/portal")
	bobs.See("You are not signed in")
	bobs.Inspect("portal-not-signed-in")
	late := portalLink(t, s, "alice")
	s.Clock.Advance(vault.PortalLinkLifetime)
	bobs.Visit(late)
	bobs.See("This link does not work any more")
	bobs.Inspect("portal-link-expired")
	tab.Press("Sign out")
	tab.See("You are signed out")
	tab.Inspect("portal-signed-out")
	tab.Back()
	tab.See("You are not signed in")
}

func TestAPersonConnectsAndDisconnectsInThePortal(t *testing.T) {
	t.Parallel()
	s := newPortal(t)
	tab := openPortal(t, s, chromium.NewBrowser(t), "alice")
	tab.Press("Connect Acme")
	tab.See(acmeConsent)
	tab.Press("Decline")
	tab.Read("Acme was not connected, because access was declined there.")
	tab.Inspect("portal-declined")
	connectAcme(tab)
	tab.Inspect("portal-connected")
	before := acme(t, s, "alice")
	tab.Press("Refresh Acme")
	tab.Read("Acme was refreshed")
	if after := acme(t, s, "alice"); after.GetGeneration() <= before.GetGeneration() {
		t.Error("nothing was refreshed")
	}
	tab.Press("Disconnect Acme")
	tab.See("Disconnect Acme?")
	tab.Inspect("portal-disconnect")
	tab.Press("Keep it")
	tab.See(portal)
	tab.Press("Disconnect Acme")
	tab.Press("Disconnect")
	tab.Read("has confirmed that the access is revoked")
	tab.Inspect("portal-disconnected")
	if conn := acme(t, s, "alice"); conn != nil {
		t.Errorf("still there: %v", conn)
	}
	tab.Back()
	tab.Read("Acme was not connected any more.")
}

func TestThePortalRefusesAnotherAccount(t *testing.T) {
	t.Parallel()
	s := newPortal(t)
	tab := openPortal(t, s, chromium.NewBrowser(t), "alice")
	connectAcme(tab)
	s.Sandbox.Fault(sandbox.Token, sandbox.Fault{Status: 400, Body: `{"error":"invalid_grant"}`, Times: 1})
	tab.Press("Refresh Acme")
	tab.Read("Acme does not take this connection any more.")
	tab.Inspect("portal-attention")
	if text := tab.Text(); strings.Contains(text, "Access expires") {
		t.Errorf("the page tells when the access expires that is gone:\n%s", text)
	}
	tab.Press("Connect again Acme")
	tab.Choose(gracesAccount)
	tab.Press("Allow")
	tab.Read("That was another Acme account")
	tab.Inspect("portal-another-account")
	tab.Press("Connect again Acme")
	tab.Press("Allow")
	tab.Read("Acme is connected.")
}

func TestAnAPIKeyInThePortal(t *testing.T) {
	t.Parallel()
	s := newPortal(t)
	tab := openPortal(t, s, chromium.NewBrowser(t), "alice")
	tab.Press("Use an API key Acme")
	tab.See("Use an API key for Acme")
	tab.Inspect("portal-api-key")
	tab.Enter("API key", "wrong")
	tab.Press("Store the key")
	tab.Read("That does not look like an API key of Acme.")
	tab.Inspect("portal-api-key-wrong")
	tab.Enter("API key", "ak_alice")
	tab.Press("Store the key")
	tab.Read("The API key for Acme is stored.")
	tab.Inspect("portal-api-key-stored")
	if strings.Contains(run(tab, "read the HTML", chromedp.Evaluate[string](`document.documentElement.outerHTML`)), "ak_alice") {
		t.Error("the page has the key")
	}
	tab.Press("Remove API key Acme")
	tab.See("Remove the API key of Acme?")
	tab.Inspect("portal-remove-api-key")
	tab.Press("Remove API key")
	tab.Read("The API key for Acme is removed here.")
	if conn := acme(t, s, "alice"); conn != nil {
		t.Errorf("still there: %v", conn)
	}
}

func TestAnotherAccountBesideTheFirst(t *testing.T) {
	t.Parallel()
	s := newPortal(t)
	tab := openPortal(t, s, chromium.NewBrowser(t), "alice")
	connectAcme(tab)
	tab.Press("Connect another account at Acme")
	tab.See("Connect Acme")
	tab.Inspect("portal-connect-another")
	tab.Enter("A name for this connection", "two words")
	tab.Press("Connect")
	tab.Read("Choose a name of 1 to 64 letters")
	tab.Inspect("portal-connect-another-wrong")
	tab.Visit(s.GatewayURL + "/portal/connect?provider=acme&another=1")
	tab.Enter("A name for this connection", "work")
	tab.Press("Connect")
	tab.See(acmeConsent)
	tab.Choose(gracesAccount)
	tab.Press("Allow")
	tab.Read("Acme (work) is connected.")
	tab.Inspect("portal-two-accounts")
}

func TestThePortalShowsByItselfWhatHasChanged(t *testing.T) {
	t.Parallel()
	s := newPortal(t)
	browser := chromium.NewBrowser(t)
	tab := openPortal(t, s, browser, "alice")
	connect(t, s, chromium.NewBrowser(t), "alice") // Mailchimp, elsewhere
	tab.Read("This page has been brought up to date.")
	tab.SeeIn("h3", "Mailchimp")
	tab.Inspect("portal-updated")
	if _, err := s.Client.Disconnect(t.Context(), &tokenvaultv1.DisconnectRequest{Subject: "alice", Provider: "mailchimp"}); err != nil {
		t.Fatal(err)
	}
	tab.Read("Nothing is connected yet.")
}

func TestAPersonUsesThePortalInTheirOwnWay(t *testing.T) {
	t.Parallel()
	press := func(tab *Tab, name string) { tab.Press(name) }
	for _, row := range []struct {
		name    string
		browser func(b *Browser) *Browser
		press   func(tab *Tab, name string)
	}{
		{"without scripts", (*Browser).WithoutScripts, press},
		{"on a phone", (*Browser).OnAPhone, press},
		{"with double clicks", func(b *Browser) *Browser { return b }, (*Tab).DoublePress},
		{"with the keyboard", func(b *Browser) *Browser { return b }, func(tab *Tab, name string) {
			tab.Reach(name)
			tab.Keys(kb.Enter)
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newPortal(t)
			tab := row.browser(chromium.NewBrowser(t)).Open(portalLink(t, s, "alice"))
			tab.See("Open your connections")
			row.press(tab, "Continue")
			tab.See(portal)
			row.press(tab, "Connect Acme")
			tab.See(acmeConsent)
			row.press(tab, "Allow")
			tab.Read("Acme is connected.")
			row.press(tab, "Refresh Acme")
			tab.Read("Acme was refreshed")
			row.press(tab, "Disconnect Acme")
			tab.See("Disconnect Acme?")
			row.press(tab, "Disconnect")
			tab.Read("has confirmed that the access is revoked")
			if row.name == "without scripts" { // which would have changed how times are written
				tab.Inspect("portal-without-scripts")
			}
		})
	}
}

func TestPeopleSignInAtThePortal(t *testing.T) {
	t.Parallel()
	issuer := vaulttest.NewIssuer(t, nil)
	s := vaulttest.New(t, vaulttest.Config{
		Binding: vault.BindingLogin, Issuer: issuer, Portal: []string{"acme", "mailchimp"},
	})
	issuer.SignInAs("alice", nil)
	tab := chromium.NewBrowser(t).Open(s.GatewayURL + "/portal")
	tab.See("You are not signed in")
	tab.Inspect("portal-sign-in")
	tab.Press("Sign in")
	tab.See(portal)
	connectAcme(tab)
	if acme(t, s, "alice") == nil {
		t.Error("alice is not connected")
	}
}
