package client_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tokenvault/tokenvault/vault/client"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// opened is what a browser gets that opens a listener's link.
type opened struct {
	vaults string // the vault's link
	back   string // the return URL
	cookie *http.Cookie
	header http.Header
}

// open opens a listener's link, and goes no further.
func open(t *testing.T, browser *http.Client, link string) opened {
	t.Helper()
	stopping := *browser
	stopping.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	page, err := load(t, &stopping, http.MethodGet, link)
	if code, body := show(t, page, err); code != http.StatusSeeOther || len(page.Cookies()) != 1 {
		t.Fatalf("the link answers %d with %d cookies, want a redirect with one:\n%s", code, len(page.Cookies()), body)
	}
	cookie := page.Cookies()[0]
	return opened{page.Header.Get("Location"), "http://" + page.Request.URL.Host + cookie.Path, cookie, page.Header}
}

// TestWhatSomebodyElseHasFinishedIsNotConfirmed has an attacker finish alice's flow
// elsewhere, with their own account, and lead her browser to the end of it.
func TestWhatSomebodyElseHasFinishedIsNotConfirmed(t *testing.T) {
	for _, row := range []struct {
		name   string
		before func(t *testing.T, l *client.ReturnListener, browser *http.Client)
	}{
		{"her browser has opened nothing", func(*testing.T, *client.ReturnListener, *http.Client) {}},
		{"it has opened another link", func(t *testing.T, l *client.ReturnListener, browser *http.Client) {
			open(t, browser, linkOf(t, l))
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newHome(t)
			l, told := listen(t, r, "alice")
			link := linkOf(t, l)
			if !strings.HasPrefix(link, r.GatewayURL) { // or else it is the vault's, and works everywhere
				link = open(t, r.NewBrowser(), link).vaults
			}
			back := comeBackIn(t, r.NewBrowser(), link, urlOf(t, l), vaulttest.Grace)
			alices := r.NewBrowser()
			row.before(t, l, alices)
			page, err := load(t, alices, http.MethodGet, back.String())
			wantPage(t, page, err, http.StatusForbidden, "opened in another browser")
			if n := r.rpcs.of("ConfirmConnection"); n != 0 || len(told) != 0 {
				t.Errorf("%d ConfirmConnection and %d returns, want none", n, len(told))
			}
			wantNotConnected(t, r, "alice")
		})
	}
}

// TestALinkMayBeOpenedAnyNumberOfTimes by programs that show what is behind it, too.
func TestALinkMayBeOpenedAnyNumberOfTimes(t *testing.T) {
	r := newHome(t)
	l, told := listen(t, r, "alice")
	link := linkOf(t, l)
	if !strings.HasPrefix(link, urlOf(t, l)+"/") {
		t.Fatalf("the link is %s, want one of the listener's, %s", link, urlOf(t, l))
	}
	browser := r.NewBrowser()
	for range 3 {
		for _, b := range []*http.Client{r.NewBrowser(), browser} {
			o := open(t, b, link+"?status=confirm&confirmation=x")
			if !strings.HasPrefix(o.vaults, r.GatewayURL+"/") || o.back == link {
				t.Errorf("the link leads to %s, and back to %s; want the vault, and another address", o.vaults, o.back)
			}
			if c := o.cookie; !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Domain != "" || c.MaxAge < 600 || len(c.Name) < 26 || len(c.Value) < 26 {
				t.Errorf("the cookie is %s, want one that only this listener gets, from links", c)
			}
			for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"} {
				if got := o.header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		}
	}
	if n := r.rpcs.of("ConfirmConnection"); n != 0 || len(told) != 0 {
		t.Errorf("%d ConfirmConnection and %d returns, want none", n, len(told))
	}
	page, err := sandbox.Person{Client: browser}.Approve(t.Context(), link, vaulttest.Ada)
	wantPage(t, page, err, http.StatusOK, "acme is connected")
}

func TestTwoFlowsInOneBrowserEndAsTheyBegan(t *testing.T) {
	r := newHome(t)
	l, _ := listen(t, r, "alice")
	browser := r.NewBrowser()
	var backs []*url.URL
	for _, row := range []struct {
		label   string
		account int
	}{{"home", vaulttest.Ada}, {"work", vaulttest.Grace}} {
		link, err := l.Connect(t.Context(), "acme", client.ConnectOptions{Label: row.label})
		if err != nil {
			t.Fatal(err)
		}
		backs = append(backs, comeBackIn(t, browser, link.URL, urlOf(t, l), row.account))
	}
	for _, i := range []int{1, 0} {
		page, err := load(t, browser, http.MethodGet, backs[i].String())
		wantPage(t, page, err, http.StatusOK, "alice ("+[]string{"home", "work"}[i]+")")
	}
}

func TestALinkEnds(t *testing.T) {
	r := newHome(t)
	l, told := listen(t, r, "alice")
	browser := r.NewBrowser()
	link := linkOf(t, l)
	o := open(t, browser, link)
	r.Clock.Advance(11 * time.Minute) // the vault says so
	page, err := load(t, browser, http.MethodGet, link)
	wantPage(t, page, err, http.StatusBadRequest, "expired")
	page, err = load(t, browser, http.MethodGet, o.back+"?status=error&reason=session_expired")
	wantPage(t, page, err, http.StatusForbidden, "does not work any more")
	if len(told) != 1 {
		t.Errorf("%d returns, want that of somebody who was late", len(told))
	}
	r.Clock.Advance(10 * time.Minute) // it is forgotten
	for _, at := range []string{link, o.back + "?status=confirm&confirmation=x"} {
		page, err := load(t, browser, http.MethodGet, at)
		wantPage(t, page, err, http.StatusNotFound, "Ask the program that gave it to you")
	}
}

func TestTheOldestOfTooManyLinksEnds(t *testing.T) {
	r := newHome(t)
	l, _ := listen(t, r, "alice")
	first, second := linkOf(t, l), linkOf(t, l)
	for range 63 {
		linkOf(t, l)
	}
	page, err := get(t, http.MethodGet, first)
	wantPage(t, page, err, http.StatusNotFound, "does not work any more")
	open(t, r.NewBrowser(), second)
}
