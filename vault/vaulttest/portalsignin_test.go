package vaulttest_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

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
