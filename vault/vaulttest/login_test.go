package vaulttest_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// newSigningIn starts a stack that signs people in, as whom the issuer says.
func newSigningIn(t *testing.T) (*vaulttest.Stack, *vaulttest.Issuer) {
	t.Helper()
	issuer := vaulttest.NewIssuer(t, nil)
	return vaulttest.New(t, vaulttest.Config{Binding: vault.BindingLogin, Issuer: issuer, Audit: true}), issuer
}

// approve has somebody open a link in a browser and consent as Ada.
func approve(t *testing.T, s *vaulttest.Stack, browser *http.Client, link string) (int, string) {
	t.Helper()
	page, err := sandbox.Person{Client: browser}.Approve(t.Context(), link, vaulttest.Ada)
	if err != nil {
		t.Fatal(err)
	}
	return page.StatusCode, s.Body(page)
}

// nextLink is where the page's button leads.
func nextLink(t *testing.T, s *vaulttest.Stack, page string) string {
	t.Helper()
	match := regexp.MustCompile(`<a class="next" href="([^"]+)"`).FindStringSubmatch(page)
	if match == nil {
		t.Fatalf("the page leads nowhere:\n%s", page)
	}
	base, err := url.Parse(s.GatewayURL)
	if err != nil {
		t.Fatal(err)
	}
	next, err := base.Parse(html.UnescapeString(match[1]))
	if err != nil {
		t.Fatal(err)
	}
	return next.String()
}

func TestWhoeverALinkIsForSignsInAndConnects(t *testing.T) {
	s, issuer := newSigningIn(t)
	issuer.SignInAs("alice", nil)
	browser := s.NewBrowser()
	if code, page := approve(t, s, browser, linkFor(t, s, "alice", "").GetConnectUrl()); code != http.StatusOK || !strings.Contains(page, "is connected") {
		t.Fatalf("the browser ended at %d:\n%s", code, page)
	}
	credentials(t, s, "alice", "acme")
	s.Restart()
	approve(t, s, browser, linkFor(t, s, "alice", "").GetConnectUrl()) // still signed in
	if got := issuer.Prompts(); len(got) != 1 {
		t.Errorf("%d sign-ins, want 1", len(got))
	}
	var got []string
	for _, e := range entries(t, s) {
		if e.RPC == "LoginCallback" {
			got = append(got, what(e))
		}
	}
	if len(got) != 1 || got[0] != "LoginCallback allowed   alice " {
		t.Errorf("on record: %q", got)
	}
}

func TestALinkInAnotherPersonsBrowser(t *testing.T) {
	t.Run("link", func(t *testing.T) {
		s := vaulttest.New(t, vaulttest.Config{})
		if code, page := approve(t, s, s.NewBrowser(), linkFor(t, s, "alice", "").GetConnectUrl()); code != http.StatusOK {
			t.Errorf("the browser ended at %d:\n%s", code, page)
		}
		credentials(t, s, "alice", "acme") // that is what the mode is: for development
	})
	t.Run("confirm", func(t *testing.T) {
		s := newConfirming(t)
		back := comeBack(t, s, linkFor(t, s, "alice", home).GetConnectUrl(), vaulttest.Grace)
		if err := confirm(t, s.Client, back.Query().Get("confirmation"), "bob"); reason(err) != "SESSION_WRONG_SUBJECT" {
			t.Errorf("error = %v", err)
		}
		wantNothing(t, s, "alice", "bob")
	})
	t.Run("login", func(t *testing.T) {
		s, issuer := newSigningIn(t)
		issuer.SignInAs("bob", nil)
		browser := s.NewBrowser()
		link := linkFor(t, s, "alice", "").GetConnectUrl()
		code, page := open(t, s, browser, link)
		if code != http.StatusForbidden || !strings.Contains(page, "This link is for somebody else") || strings.Contains(page, "alice") {
			t.Errorf("the browser ended at %d:\n%s", code, page)
		}
		wantNothing(t, s, "alice", "bob")
		if got := onRecord(t, s, "SESSION_WRONG_SUBJECT"); len(got) != 1 || got[0] != "Authorize failed SESSION_WRONG_SUBJECT  alice acme default" {
			t.Errorf("on record: %q", got)
		}
		// It was Alice, who had signed in as somebody else.
		issuer.SignInAs("alice", nil)
		if code, page := approve(t, s, browser, nextLink(t, s, page)); code != http.StatusOK {
			t.Errorf("signing in as oneself ended at %d:\n%s", code, page)
		}
		if got := issuer.Prompts(); len(got) != 2 || got[1] != "login" {
			t.Errorf("prompts = %q, want that the second asks who it is", got)
		}
		credentials(t, s, "alice", "acme")
	})
}

// maxOpenings is how often a link can be opened.
const maxOpenings = 50

func TestALinkThatTheWrongPersonOpensOverAndOverEnds(t *testing.T) {
	s, issuer := newSigningIn(t)
	issuer.SignInAs("bob", nil)
	browser, link := s.NewBrowser(), linkFor(t, s, "alice", "").GetConnectUrl()
	for range maxOpenings { // the sign-in is an opening, too
		open(t, s, browser, link)
	}
	if code, page := open(t, s, browser, link); code != http.StatusBadRequest || strings.Contains(page, "for somebody else") {
		t.Errorf("the browser ended at %d:\n%s", code, page)
	}
	if n := len(onRecord(t, s, "SESSION_WRONG_SUBJECT")); n != maxOpenings-1 {
		t.Errorf("%d refusals are on record, want %d", n, maxOpenings-1)
	}
}

func TestTheSameNameInAnotherTenantIsAnotherPerson(t *testing.T) {
	rule, token := otherTenant()
	s := vaulttest.New(t, vaulttest.Config{Rules: []access.Rule{rule}})
	other := tokenvaultv1.NewVaultServiceClient(s.Dial(token))
	begun, err := other.Connect(t.Context(), &tokenvaultv1.ConnectRequest{Subject: "alice", Provider: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	portal := portalLink(t, other, "alice")
	issuer := vaulttest.NewIssuer(t, nil)
	issuer.SignInAs("alice", nil) // of the default tenant
	s.Rebind(vault.BindingLogin, issuer)
	other = tokenvaultv1.NewVaultServiceClient(s.Dial(token))

	browser := s.NewBrowser()
	if code, page := approve(t, s, browser, linkFor(t, s, "alice", "").GetConnectUrl()); code != http.StatusOK {
		t.Fatalf("her own link ended at %d:\n%s", code, page)
	}
	if code, page := open(t, s, browser, begun.GetConnectUrl()); code != http.StatusForbidden || !strings.Contains(page, "This link is for somebody else") {
		t.Errorf("the other tenant's link ended at %d:\n%s", code, page)
	}
	v := newVisitor(t, s)
	v.get(portal)
	v.press("open-submit")
	v.get(v.sentOn())
	v.want(http.StatusForbidden, "Nothing was changed")

	_, err = other.Connect(t.Context(), &tokenvaultv1.ConnectRequest{Subject: "alice", Provider: "acme"})
	wantError(t, err, codes.FailedPrecondition, "SIGN_IN_FAILED")
	_, err = other.CreatePortalSession(t.Context(), &tokenvaultv1.CreatePortalSessionRequest{Subject: "alice"})
	wantError(t, err, codes.FailedPrecondition, "SIGN_IN_FAILED")
	_, err = other.GetCredentials(t.Context(), &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "acme"})
	wantError(t, err, codes.NotFound, "NOT_CONNECTED")
	// Where nobody signs in, there is nobody to mix up.
	if _, err = other.Connect(t.Context(), &tokenvaultv1.ConnectRequest{Subject: "alice", Provider: "acme", Grant: tokenvaultv1.ConnectGrant_CONNECT_GRANT_CLIENT_CREDENTIALS}); err != nil {
		t.Error(err)
	}
}

func TestTheOperatorSaysWhoseTenantPeopleSignInTo(t *testing.T) {
	issuer := vaulttest.NewIssuer(t, nil)
	issuer.SignInAs("alice", nil)
	rule, token := otherTenant()
	s := vaulttest.New(t, vaulttest.Config{
		Binding: vault.BindingLogin, Issuer: issuer, IdentityTenant: "other", Rules: []access.Rule{rule}, Portal: []string{"acme"},
	})
	_, err := s.Client.Connect(t.Context(), &tokenvaultv1.ConnectRequest{Subject: "alice", Provider: "acme"})
	wantError(t, err, codes.FailedPrecondition, "SIGN_IN_FAILED")
	other := tokenvaultv1.NewVaultServiceClient(s.Dial(token))
	begun, err := other.Connect(t.Context(), &tokenvaultv1.ConnectRequest{Subject: "alice", Provider: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	v := newVisitor(t, s)
	if code, page := approve(t, s, v.client, begun.GetConnectUrl()); code != http.StatusOK {
		t.Errorf("the browser ended at %d:\n%s", code, page)
	}
	v.get("/portal")
	v.want(http.StatusOK, "Signed in as alice", "Ada Lovelace")
}

func TestWhoeverComesBackMustStillBeSignedIn(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(t *testing.T, s *vaulttest.Stack, issuer *vaulttest.Issuer, browser *http.Client)
	}{
		{"somebody else is", func(t *testing.T, s *vaulttest.Stack, issuer *vaulttest.Issuer, browser *http.Client) {
			issuer.SignInAs("bob", nil)
			open(t, s, browser, linkFor(t, s, "bob", "").GetConnectUrl()+"&sign_in_again=true")
		}},
		{"nobody is", func(t *testing.T, s *vaulttest.Stack, _ *vaulttest.Issuer, browser *http.Client) {
			u, err := url.Parse(s.GatewayURL)
			if err != nil {
				t.Fatal(err)
			}
			browser.Jar.SetCookies(u, []*http.Cookie{{Name: "tokenvault-sign-in", Path: "/", MaxAge: -1}})
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, issuer := newSigningIn(t)
			issuer.SignInAs("alice", nil)
			link := linkFor(t, s, "alice", "").GetConnectUrl()
			browser := s.NewBrowser()
			_, callback := stoppedBefore(t, s, browser, link, "/oauth/acme/callback")
			row.change(t, s, issuer, browser)
			if code, page := open(t, s, browser, callback); code != http.StatusForbidden || !strings.Contains(page, "This link is for somebody else") {
				t.Errorf("the browser ended at %d:\n%s", code, page)
			}
			wantNothing(t, s, "alice", "bob")
			if got := onRecord(t, s, "SESSION_WRONG_SUBJECT"); len(got) != 1 || got[0] != "Callback failed SESSION_WRONG_SUBJECT  alice acme default" {
				t.Errorf("on record: %q", got)
			}
			issuer.SignInAs("alice", nil)
			browser.CheckRedirect = nil
			open(t, s, browser, link+"&sign_in_again=true")
			if code, _ := open(t, s, browser, callback); code == http.StatusOK {
				t.Error("the same answer of the provider was taken in afterwards")
			}
			if code, page := approve(t, s, browser, link); code != http.StatusOK {
				t.Errorf("the link, opened again by the one it is for, ended at %d:\n%s", code, page)
			}
		})
	}
}

// stoppedBefore takes a browser through a flow and stops it before a path of the
// gateway.
func stoppedBefore(t *testing.T, s *vaulttest.Stack, browser *http.Client, link, path string) (code int, location string) {
	t.Helper()
	browser.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
		if req.URL.Path == path && strings.HasPrefix(req.URL.String(), s.GatewayURL) {
			return http.ErrUseLastResponse
		}
		return nil
	}
	page, err := browser.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	if s.Body(page); page.StatusCode == http.StatusFound {
		return page.StatusCode, page.Header.Get("Location")
	}
	page, err = sandbox.Person{Client: browser}.Approve(t.Context(), link, vaulttest.Ada)
	if err != nil {
		t.Fatal(err)
	}
	s.Body(page)
	return page.StatusCode, page.Header.Get("Location")
}

func TestAnotherPersonsConsentIsNoUseToWhoeverKnowsItsAddress(t *testing.T) {
	s, issuer := newSigningIn(t)
	issuer.SignInAs("bob", nil)
	begun := linkFor(t, s, "bob", "")
	_, callback := stoppedBefore(t, s, s.NewBrowser(), begun.GetConnectUrl(), "/oauth/acme/callback")
	issuer.SignInAs("alice", nil)
	alices := s.NewBrowser()
	open(t, s, alices, linkFor(t, s, "alice", "").GetConnectUrl()) // signed in, with a flow of her own
	if code, page := open(t, s, alices, callback); code != http.StatusForbidden {
		t.Errorf("the browser ended at %d:\n%s", code, page)
	}
	if err := confirm(t, s.Client, begun.GetSession(), "alice"); reason(err) != "SESSION_EXPIRED" {
		t.Errorf("confirming with the session's id: %v", err)
	}
	wantNothing(t, s, "alice", "bob")
	if got := onRecord(t, s, "BROWSER_UNKNOWN"); len(got) != 1 || got[0] != "Callback failed BROWSER_UNKNOWN   acme " {
		t.Errorf("on record: %q", got)
	}
}

func TestASignInLastsAsLongAsAFlowNeedsIt(t *testing.T) {
	s, issuer := newSigningIn(t)
	issuer.SignInAs("alice", nil)
	browser := s.NewBrowser()
	for _, row := range []struct {
		after   time.Duration
		signIns int
	}{{0, 1}, {19 * time.Minute, 1}, {2 * time.Minute, 2}, {40 * time.Minute, 3}} {
		s.Clock.Advance(row.after)
		if code, page := approve(t, s, browser, linkFor(t, s, "alice", "").GetConnectUrl()); code != http.StatusOK {
			t.Fatalf("the browser ended at %d:\n%s", code, page)
		}
		if n := len(issuer.Prompts()); n != row.signIns {
			t.Errorf("%v later there were %d sign-ins, want %d", row.after, n, row.signIns)
		}
	}
}

func TestASignInThatDoesNotBelongIsRefused(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(t *testing.T, s *vaulttest.Stack, browser *http.Client, callback string) (*http.Client, string)
		code   int
		want   string
	}{
		{"a state that is forged", func(t *testing.T, _ *vaulttest.Stack, b *http.Client, c string) (*http.Client, string) {
			return b, with(t, c, "state", strings.Repeat("A", 43))
		}, http.StatusBadRequest, "This sign-in is over already"},
		{"without a state", func(t *testing.T, _ *vaulttest.Stack, b *http.Client, c string) (*http.Client, string) {
			return b, with(t, c, "state", "")
		}, http.StatusBadRequest, "This sign-in is over already"},
		{"another browser", func(_ *testing.T, s *vaulttest.Stack, _ *http.Client, c string) (*http.Client, string) {
			return s.NewBrowser(), c
		}, http.StatusForbidden, "Please finish in the browser you began in"},
		{"a second time", func(t *testing.T, s *vaulttest.Stack, b *http.Client, c string) (*http.Client, string) {
			open(t, s, b, c)
			return b, c
		}, http.StatusBadRequest, "This sign-in is over already"},
		{"too late", func(_ *testing.T, s *vaulttest.Stack, b *http.Client, c string) (*http.Client, string) {
			s.Clock.Advance(vault.SessionLifetime)
			return b, c
		}, http.StatusBadRequest, "This sign-in is over already"},
		{"a code that is forged", func(t *testing.T, _ *vaulttest.Stack, b *http.Client, c string) (*http.Client, string) {
			return b, with(t, c, "code", "forged")
		}, http.StatusBadRequest, "Signing in did not work"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, issuer := newSigningIn(t)
			issuer.SignInAs("alice", nil)
			browser := s.NewBrowser()
			_, callback := stoppedBefore(t, s, browser, linkFor(t, s, "alice", "").GetConnectUrl(), "/login/callback")
			browser, callback = row.change(t, s, browser, callback)
			if code, page := open(t, s, browser, callback); code != row.code || !strings.Contains(page, row.want) {
				t.Errorf("the browser ended at %d, want %d and %q:\n%s", code, row.code, row.want, page)
			}
			wantNothing(t, s, "alice")
		})
	}
}

func TestOnlyAnIDTokenForThisSignInSaysWhoSomebodyIs(t *testing.T) {
	for _, row := range []struct {
		name   string
		claims map[string]any
	}{
		{"for another sign-in", map[string]any{"nonce": "another"}},
		{"for another client", map[string]any{"aud": "another"}},
		{"of another issuer", map[string]any{"iss": "https://id.example"}},
		{"that has ended", map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}},
		{"without the claim", map[string]any{"sub": ""}},
		{"with a claim that is no text", map[string]any{"sub": 7}},
		{"with a subject that none can have", map[string]any{"sub": "a\nb"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, issuer := newSigningIn(t)
			issuer.SignInAs("alice", row.claims)
			if code, page := open(t, s, s.NewBrowser(), linkFor(t, s, "alice", "").GetConnectUrl()); code != http.StatusBadRequest || !strings.Contains(page, "Signing in did not work") {
				t.Errorf("the browser ended at %d:\n%s", code, page)
			}
			if got := onRecord(t, s, "SIGN_IN_FAILED"); len(got) != 1 {
				t.Errorf("on record: %q", got)
			}
		})
	}
}

func TestANewSignInEndsTheOneBefore(t *testing.T) {
	s, issuer := newSigningIn(t)
	gateway, err := url.Parse(s.GatewayURL)
	if err != nil {
		t.Fatal(err)
	}
	issuer.SignInAs("alice", nil)
	browser, link := s.NewBrowser(), linkFor(t, s, "alice", "").GetConnectUrl()
	open(t, s, browser, link)
	copied := s.NewBrowser()
	copied.Jar.SetCookies(gateway, browser.Jar.Cookies(gateway))
	if open(t, s, copied, link); len(issuer.Prompts()) != 1 {
		t.Fatalf("%d sign-ins, want 1: the cookie is copied", len(issuer.Prompts()))
	}
	open(t, s, browser, link+"&sign_in_again=true")
	if open(t, s, copied, link); len(issuer.Prompts()) != 3 {
		t.Errorf("%d sign-ins, want 3: the earlier cookie still counts", len(issuer.Prompts()))
	}
}

func TestDecliningToSignInConnectsNothing(t *testing.T) {
	s, issuer := newSigningIn(t)
	issuer.SignInAs("", nil)
	browser := s.NewBrowser()
	link := linkFor(t, s, "alice", "").GetConnectUrl()
	if code, page := open(t, s, browser, link); code != http.StatusBadRequest || !strings.Contains(page, "You were not signed in") {
		t.Errorf("the browser ended at %d:\n%s", code, page)
	}
	issuer.SignInAs("alice", nil)
	if code, page := approve(t, s, browser, link); code != http.StatusOK {
		t.Errorf("signing in afterwards ended at %d:\n%s", code, page)
	}
}

func TestAnIssuersKeysMayChange(t *testing.T) {
	s, issuer := newSigningIn(t)
	issuer.SignInAs("alice", nil)
	for range 2 {
		if code, page := approve(t, s, s.NewBrowser(), linkFor(t, s, "alice", "").GetConnectUrl()); code != http.StatusOK {
			t.Fatalf("the browser ended at %d:\n%s", code, page)
		}
		issuer.AddKey()
		issuer.WithdrawOldKeys()
	}
}

func TestTheConsentPageSaysWhoseAccountItIs(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{ConsentPage: true})
	resp, err := s.Client.Connect(t.Context(), &tokenvaultv1.ConnectRequest{Subject: "<b>alice</b>", Provider: "acme", Label: "work"})
	if err != nil {
		t.Fatal(err)
	}
	browser := s.NewBrowser()
	code, page := open(t, s, browser, resp.GetConnectUrl())
	if code != http.StatusOK || !strings.Contains(page, "Connect your Acme account?") || !strings.Contains(page, "&lt;b&gt;alice&lt;/b&gt;, as") || strings.Contains(page, "<script") {
		t.Fatalf("the browser ended at %d:\n%s", code, page)
	}
	next := nextLink(t, s, page)
	if !strings.HasPrefix(next, s.SandboxURL+"/oauth/authorize?") {
		t.Errorf("the page leads to %s", next)
	}
	if code, page := approve(t, s, browser, next); code != http.StatusOK || !strings.Contains(page, "is connected") {
		t.Errorf("going on ended at %d:\n%s", code, page)
	}
}
