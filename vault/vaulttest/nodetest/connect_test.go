package nodetest

import (
	"regexp"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// deployment is a way to run the server, and to make sure who connects.
type deployment struct {
	name  string
	start func(t *testing.T) (*vaulttest.Stack, server)
	// says is what people read in the end.
	says string
	// isAtHome: links are the server's own, on the person's machine.
	isAtHome bool
}

// deployments are the two that people run: on one's own machine, and for many.
func deployments() []deployment {
	return []deployment{
		{"stdio, binding confirm", func(t *testing.T) (*vaulttest.Stack, server) {
			s := vaulttest.New(t, vaulttest.Config{Binding: vault.BindingConfirm, ReturnURLs: []string{"http://127.0.0.1/*"}})
			return s, overStdio(t, s)
		}, "It is connected for alice, as Analytical Engines Ltd.", true},
		{"HTTP, binding login", func(t *testing.T) (*vaulttest.Stack, server) {
			issuer := vaulttest.NewIssuer(t, nil)
			issuer.SignInAs(person, nil)
			s := vaulttest.New(t, vaulttest.Config{Binding: vault.BindingLogin, Issuer: issuer})
			return s, overHTTP(t, s, issuer)
		}, "The account “Analytical Engines Ltd” is now connected.", false},
	}
}

// kinds are the clients that there are.
func kinds() map[string]kind {
	return map[string]kind{
		"2025-11-25, asks people": {SDK: 1, AsksPeople: true}, "2025-11-25": {SDK: 1},
		"2026-07-28, asks people": {SDK: 2, AsksPeople: true}, "2026-07-28": {SDK: 2},
		"2025-11-25 of the newer SDK, asks people": {SDK: 2, AsksPeople: true, Old: true},
	}
}

// forAll runs a test with each client, in each deployment.
func forAll(t *testing.T, which func(kind) bool, test func(t *testing.T, u *user, c *mcpClient)) {
	t.Helper()
	for _, d := range deployments() {
		for name, k := range kinds() {
			if !which(k) {
				continue
			}
			t.Run(d.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				s, server := d.start(t)
				test(t, &user{t, s, d.says, d.isAtHome}, openClient(t, k, server))
			})
		}
	}
}

// user is the person at the client.
type user struct {
	t        *testing.T
	s        *vaulttest.Stack
	says     string
	isAtHome bool
}

// connect opens a link in Chromium, and consents there.
func (u *user) connect(link string) {
	u.t.Helper()
	switch isVaults := strings.HasPrefix(link, u.s.GatewayURL+"/"); {
	case u.isAtHome && (isVaults || !strings.HasPrefix(link, "http://127.0.0.1:")):
		u.t.Fatalf("the link is %q, want one of the server's on this machine", link)
	case !u.isAtHome && !isVaults:
		u.t.Fatalf("the link is %q, want one of the vault's, %s", link, u.s.GatewayURL)
	}
	tab := chromium.NewBrowser(u.t).Open(link)
	tab.See("Allow access to Mailchimp?")
	tab.Press("Allow")
	tab.Read(u.says)
}

// wantLists checks the answer of list_audiences.
func wantLists(t *testing.T, got result) {
	t.Helper()
	if got.IsError || !strings.Contains(got.Text, "Analytical Engines Ltd") {
		t.Errorf("the tool answers %+v, want Ada's audiences", got)
	}
}

func TestAToolAsksThePersonToConnectAndGoesOn(t *testing.T) {
	t.Parallel()
	asks := func(k kind) bool { return k.AsksPeople && k.revision() == newer }
	forAll(t, asks, func(t *testing.T, u *user, c *mcpClient) {
		c.call("list_audiences", nil)
		asked := c.next().Asked
		if asked == nil || asked.Mode != "url" || asked.Message == "" {
			t.Fatalf("the person is asked %+v, want to open a URL, and why", asked)
		}
		c.answer("accept")
		u.connect(asked.URL)
		wantLists(t, c.result())
		c.call("list_audiences", nil) // nobody is asked again
		wantLists(t, c.result())
		c.close()
	})
}

func TestAPersonIsAskedAnewWhereTheProviderRefusesTheToken(t *testing.T) {
	t.Parallel()
	asks := func(k kind) bool { return k.AsksPeople && k.revision() == newer }
	forAll(t, asks, func(t *testing.T, u *user, c *mcpClient) {
		for range 2 {
			c.call("list_audiences", nil)
			asked := c.next().Asked
			if asked == nil {
				t.Fatal("nobody is asked to connect")
			}
			c.answer("accept")
			u.connect(asked.URL)
			wantLists(t, c.result())
			u.s.Sandbox.RevokeAll()
		}
		c.close()
	})
}

// urlElicitationRequired is the code of the error of revision 2025-11-25.
const urlElicitationRequired = -32042

func TestAnOlderClientIsToldWhenThePersonIsDone(t *testing.T) {
	t.Parallel()
	asks := func(k kind) bool { return k.AsksPeople && k.revision() == older }
	forAll(t, asks, func(t *testing.T, u *user, c *mcpClient) {
		c.call("list_audiences", nil)
		e := c.next()
		if e.Error == nil || e.Error.Code != urlElicitationRequired || len(e.Error.Elicitations) != 1 {
			t.Fatalf("the call ends with %s, want the error %d with an elicitation", describe(e), urlElicitationRequired)
		}
		asked := e.Error.Elicitations[0]
		if asked.Mode != "url" || asked.Message == "" || asked.ElicitationID == "" {
			t.Fatalf("the elicitation is %+v, want a URL, an id and why", asked)
		}
		u.connect(asked.URL)
		if e := c.next(); e.Completed != asked.ElicitationID {
			t.Fatalf("the client is told %s, want the end of the elicitation %s", describe(e), asked.ElicitationID)
		}
		c.call("list_audiences", nil)
		wantLists(t, c.result()) // and nothing of its end: it may be told once more
	})
}

func TestAClientThatAsksNobodyGetsALinkForItsModel(t *testing.T) {
	t.Parallel()
	forAll(t, func(k kind) bool { return !k.AsksPeople }, func(t *testing.T, u *user, c *mcpClient) {
		c.call("list_audiences", nil)
		got := c.result()
		link := regexp.MustCompile(`https?://\S+`).FindString(got.Text)
		if !got.IsError || link == "" {
			t.Fatalf("the tool answers %+v, want an error with a link", got)
		}
		u.connect(link)
		c.call("list_audiences", nil)
		wantLists(t, c.result())
		c.close()
	})
}

func TestAPersonCanDecline(t *testing.T) {
	t.Parallel()
	asks := func(k kind) bool { return k.AsksPeople && k.revision() == newer }
	forAll(t, asks, func(t *testing.T, u *user, c *mcpClient) {
		for _, action := range []string{"decline", "cancel"} {
			c.call("list_audiences", nil)
			if e := c.next(); e.Asked == nil {
				t.Fatalf("the client prints %s, want what the person is asked", describe(e))
			}
			c.answer(action)
			if got := c.result(); !got.IsError || got.Text == "" || strings.Contains(got.Text, "://") {
				t.Errorf("after %s, the tool answers %+v, want an error without a link", action, got)
			}
		}
		c.close()
	})
}
