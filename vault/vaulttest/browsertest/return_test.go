package browsertest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/client"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// newHome is alice's machine, and a vault that lets her come back to it.
func newHome(t *testing.T) (*vaulttest.Stack, *client.ReturnListener) {
	t.Helper()
	s := vaulttest.New(t, vaulttest.Config{Binding: vault.BindingConfirm, ReturnURLs: []string{"http://127.0.0.1/*"}})
	c, err := client.New(t.Context(), s.GRPCAddress, client.WithToken(s.Token.Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	l := c.ListenForReturn("alice", nil)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, l
}

func linkHome(t *testing.T, l *client.ReturnListener, label string) string {
	t.Helper()
	link, err := l.Connect(t.Context(), "mailchimp", client.ConnectOptions{Label: label})
	if err != nil {
		t.Fatal(err)
	}
	return link.URL
}

// TestTheBrowserThatHasOpenedALinkComesBackToThisMachine from the provider's page, which
// is another site's.
func TestTheBrowserThatHasOpenedALinkComesBackToThisMachine(t *testing.T) {
	t.Parallel()
	s, l := newHome(t)
	tab := chromium.NewBrowser(t).Open(linkHome(t, l, ""))
	tab.Press("Decline")
	tab.Read("To try once more, open the link again.")
	tab.Visit(linkHome(t, l, ""))
	tab.Press("Allow")
	tab.See("mailchimp is connected")
	tab.Inspect("back-on-this-machine")
	tab.Reload()
	tab.See("mailchimp is connected")
	wantRedeemed(t, s, 1)
}

// TestAnotherBrowserDoesNotComeBackToThisMachine: it is led there by who has finished the
// flow.
func TestAnotherBrowserDoesNotComeBackToThisMachine(t *testing.T) {
	t.Parallel()
	s, l := newHome(t)
	attacker := s.NewBrowser()
	attacker.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
		if strings.Contains(req.URL.RawQuery, "confirmation=") {
			return http.ErrUseLastResponse
		}
		return nil
	}
	page, err := sandbox.Person{Client: attacker}.Approve(t.Context(), linkHome(t, l, ""), vaulttest.Grace)
	if err != nil {
		t.Fatal(err)
	}
	defer page.Body.Close()
	alices := chromium.NewBrowser(t).Open(linkHome(t, l, "work")) // which gives her browser a cookie
	alices.Visit(page.Header.Get("Location"))
	alices.See("The link was opened in another browser")
	wantRedeemed(t, s, 0)
}
