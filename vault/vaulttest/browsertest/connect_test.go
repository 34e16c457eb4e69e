package browsertest

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// linkFor asks for a link to Mailchimp that a person is to open.
func linkFor(t *testing.T, s *vaulttest.Stack, subject string) string {
	t.Helper()
	resp, err := s.Client.Connect(t.Context(), &tokenvaultv1.ConnectRequest{Subject: subject, Provider: "mailchimp"})
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetConnectUrl()
}

// wantAccount fails where a subject's connection is not with that account.
func wantAccount(t *testing.T, s *vaulttest.Stack, subject, want string) {
	t.Helper()
	resp, err := s.Client.GetConnection(t.Context(), &tokenvaultv1.GetConnectionRequest{Subject: subject, Provider: "mailchimp"})
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.GetConnection().GetAccount().GetName(); got != want {
		t.Errorf("%s is connected with %q, want %q", subject, got, want)
	}
}

// wantRedeemed fails where the provider was asked for tokens another number of times.
func wantRedeemed(t *testing.T, s *vaulttest.Stack, want int) {
	t.Helper()
	if got := s.Sandbox.Requests(sandbox.Token); got != want {
		t.Errorf("%d codes were redeemed, want %d", got, want)
	}
}

const (
	consent       = "Allow access to Mailchimp?"
	connected     = "Mailchimp is connected"
	used          = "There is nothing left to do here"
	adasAccount   = "Analytical Engines Ltd"
	gracesAccount = "Moth & Daughters"
)

// connect takes a browser through a flow, with the account that comes first: Ada's.
func connect(t *testing.T, s *vaulttest.Stack, b *Browser, subject string) *Tab {
	t.Helper()
	tab := b.Open(linkFor(t, s, subject))
	tab.See(consent)
	tab.Press("Allow")
	tab.See(connected)
	return tab
}

func TestAPersonConnectsAnAccount(t *testing.T) {
	t.Parallel()
	s := vaulttest.New(t, vaulttest.Config{})
	tab := chromium.NewBrowser(t).Open(linkFor(t, s, "alice"))
	tab.See(consent)
	tab.Inspect("sandbox-consent")
	tab.Choose(gracesAccount)
	tab.Press("Allow")
	tab.See(connected)
	tab.Read("The account “" + gracesAccount + "” is now connected.")
	tab.Inspect("connected")
	wantAccount(t, s, "alice", gracesAccount)
}

func TestAPersonConnectsAnAccountInTheirOwnWay(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name    string
		browser func(t *testing.T) *Browser
		allow   func(tab *Tab)
	}{
		{"without scripts", func(t *testing.T) *Browser { return chromium.NewBrowser(t).WithoutScripts() }, func(tab *Tab) { tab.Press("Allow") }},
		{"on a phone", func(t *testing.T) *Browser { return chromium.NewBrowser(t).OnAPhone() }, func(tab *Tab) { tab.Press("Allow") }},
		{"with the keyboard", chromium.newBrowser, func(tab *Tab) {
			tab.Reach("Allow")
			tab.Keys(kb.Enter)
		}},
		{"with a double click", chromium.newBrowser, func(tab *Tab) { tab.DoublePress("Allow") }},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := vaulttest.New(t, vaulttest.Config{})
			tab := row.browser(t).Open(linkFor(t, s, "alice"))
			tab.See(consent)
			row.allow(tab)
			tab.See(connected)
			wantAccount(t, s, "alice", adasAccount)
			wantRedeemed(t, s, 1)
		})
	}
}

func (c *Chromium) newBrowser(t *testing.T) *Browser { return c.NewBrowser(t) }

func TestDecliningLeavesTheLinkUsable(t *testing.T) {
	t.Parallel()
	s := vaulttest.New(t, vaulttest.Config{})
	link := linkFor(t, s, "alice")
	tab := chromium.NewBrowser(t).Open(link)
	tab.Press("Decline")
	tab.See("Access was declined")
	tab.Inspect("declined")
	tab.Visit(link)
	tab.Press("Allow")
	tab.See(connected)
}

func TestAnotherAccountIsRefused(t *testing.T) {
	t.Parallel()
	s := vaulttest.New(t, vaulttest.Config{})
	browser := chromium.NewBrowser(t)
	connect(t, s, browser, "alice")
	tab := browser.Open(linkFor(t, s, "alice"))
	tab.Choose(gracesAccount)
	tab.Press("Allow")
	tab.See("That is another account")
	tab.Inspect("another-account")
	wantAccount(t, s, "alice", adasAccount)
	connect(t, s, browser, "alice")
}

func TestALinkThatHasExpired(t *testing.T) {
	t.Parallel()
	s := vaulttest.New(t, vaulttest.Config{})
	link := linkFor(t, s, "alice")
	tab := chromium.NewBrowser(t).Open(link)
	s.Clock.Advance(vault.SessionLifetime)
	tab.Press("Allow") // the person has thought about it for too long
	tab.See("This link does not work any more")
	tab.Inspect("link-expired")
	tab.Visit(link)
	tab.See("This link does not work any more")
	wantRedeemed(t, s, 0)
}

func TestALinkThatWasUsed(t *testing.T) {
	t.Parallel()
	s := vaulttest.New(t, vaulttest.Config{})
	link := linkFor(t, s, "alice")
	browser := chromium.NewBrowser(t)
	tab := browser.Open(link)
	tab.Press("Allow")
	tab.See(connected)
	for _, b := range []*Browser{browser, chromium.NewBrowser(t)} {
		again := b.Open(link)
		again.See(used)
		if b == browser {
			again.Inspect("link-used")
		}
	}
	wantRedeemed(t, s, 1)
}

func TestGoingBackAndReloadingAfterwardsDoNoHarm(t *testing.T) {
	t.Parallel()
	s := vaulttest.New(t, vaulttest.Config{})
	tab := connect(t, s, chromium.NewBrowser(t), "alice")
	tab.Reload()
	tab.See(used)
	tab.Back()
	tab.See(consent)
	tab.Press("Allow")
	tab.See(used)
	wantAccount(t, s, "alice", adasAccount)
	wantRedeemed(t, s, 1)
}

func TestOneLinkInTwoTabs(t *testing.T) {
	t.Parallel()
	s := vaulttest.New(t, vaulttest.Config{})
	link := linkFor(t, s, "alice")
	browser := chromium.NewBrowser(t)
	first, second := browser.Open(link), browser.Open(link)
	second.Press("Allow")
	second.See(connected)
	first.Press("Allow")
	first.See(used)
	wantRedeemed(t, s, 1)
}

func TestAnAnswerInAnotherBrowser(t *testing.T) {
	t.Parallel()
	s := vaulttest.New(t, vaulttest.Config{})
	alices := connect(t, s, chromium.NewBrowser(t), "alice")
	bobs := chromium.NewBrowser(t).Open(alices.Address())
	bobs.See("Please finish in the browser you began in")
	bobs.Inspect("browser-unknown")
	if text := bobs.Text(); strings.Contains(text, "Analytical") || strings.Contains(text, "alice") {
		t.Errorf("the page tells whose it is:\n%s", text)
	}
}

func TestAProviderThatFails(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, page, heading string
		fault               sandbox.Fault
	}{
		{"away", "provider-away", "The provider is not answering", sandbox.Fault{Status: 503}},
		{"refuses the code", "code-refused", "The account was not connected", sandbox.Fault{Status: 400, Body: `{"error":"invalid_grant"}`}},
		{"refuses the client", "client-refused", "The account was not connected", sandbox.Fault{Status: 401, Body: `{"error":"invalid_client"}`}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := vaulttest.New(t, vaulttest.Config{})
			tab := chromium.NewBrowser(t).Open(linkFor(t, s, "alice"))
			s.Sandbox.Fault(sandbox.Token, row.fault)
			tab.Press("Allow")
			tab.See(row.heading)
			tab.Inspect(row.page)
			if text := tab.Text(); strings.Contains(text, "client_id") {
				t.Errorf("the page is for those who run the vault:\n%s", text)
			}
		})
	}
}

func TestPagesThatAreNoPartOfAFlow(t *testing.T) {
	t.Parallel()
	s := vaulttest.New(t, vaulttest.Config{})
	tab := chromium.NewBrowser(t).Open(s.GatewayURL)
	for _, row := range []struct{ name, path, heading string }{
		{"index", "/", "This is tokenvault"},
		{"nothing-here", "/else", "There is nothing here"},
		{"link-incomplete", "/oauth/mailchimp/authorize?session=x", "This link does not work any more"},
	} {
		tab.Visit(s.GatewayURL + row.path)
		tab.See(row.heading)
		tab.Inspect(row.name)
	}
	tab.Visit(s.SandboxURL)
	tab.See("A made-up provider")
	tab.Inspect("sandbox-index")
	tab.Visit(s.SandboxURL + "/mailchimp/oauth2/authorize")
	tab.See("That did not work")
	tab.Inspect("sandbox-error")
}
