package vaulttest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// stopped takes a browser through a flow and stops it just before the callback.
// It returns the browser and the callback's URL.
func stopped(t *testing.T, s *vaulttest.Stack, subject, provider string) (*http.Client, string) {
	t.Helper()
	resp, err := s.Client.Connect(t.Context(), &tokenvaultv1.ConnectRequest{Subject: subject, Provider: provider})
	if err != nil {
		t.Fatal(err)
	}
	return stoppedAt(t, s, s.NewBrowser(), resp.GetConnectUrl())
}

func stoppedAt(t *testing.T, s *vaulttest.Stack, browser *http.Client, link string) (*http.Client, string) {
	t.Helper()
	browser.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
		if strings.HasSuffix(req.URL.Path, "/callback") {
			return http.ErrUseLastResponse
		}
		return nil
	}
	page, err := sandbox.Person{Client: browser}.Approve(t.Context(), link, vaulttest.Ada)
	if err != nil {
		t.Fatal(err)
	}
	s.Body(page)
	return browser, page.Header.Get("Location")
}

func open(t *testing.T, s *vaulttest.Stack, browser *http.Client, address string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := browser.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, s.Body(resp)
}

// with returns an address with one parameter changed, or taken out.
func with(t *testing.T, address, name, value string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if q.Del(name); value != "" {
		q.Set(name, value)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

func TestACallbackThatDoesNotBelongRedeemsNothing(t *testing.T) {
	const forged = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for _, row := range []struct {
		name   string
		change func(t *testing.T, s *vaulttest.Stack, browser *http.Client, callback string) (*http.Client, string)
		want   string // in the page
	}{
		{"forged state", func(t *testing.T, _ *vaulttest.Stack, b *http.Client, c string) (*http.Client, string) {
			return b, with(t, c, "state", forged)
		}, "does not work any more"},
		{"no state", func(t *testing.T, _ *vaulttest.Stack, b *http.Client, c string) (*http.Client, string) {
			return b, with(t, c, "state", "")
		}, "does not work any more"},
		{"no code", func(t *testing.T, _ *vaulttest.Stack, b *http.Client, c string) (*http.Client, string) {
			return b, with(t, c, "code", "")
		}, "was not connected"},
		{"state twice", func(_ *testing.T, _ *vaulttest.Stack, b *http.Client, c string) (*http.Client, string) {
			return b, c + "&state=" + forged
		}, "was not connected"},
		{"another browser", func(_ *testing.T, s *vaulttest.Stack, _ *http.Client, c string) (*http.Client, string) {
			return s.NewBrowser(), c
		}, "the browser you began in"},
		{"another provider's callback", func(_ *testing.T, _ *vaulttest.Stack, b *http.Client, c string) (*http.Client, string) {
			return b, strings.Replace(c, "/oauth/acme/", "/oauth/mailchimp/", 1)
		}, "was not connected"},
		{"an unknown provider's callback", func(_ *testing.T, _ *vaulttest.Stack, b *http.Client, c string) (*http.Client, string) {
			return b, strings.Replace(c, "/oauth/acme/", "/oauth/other/", 1)
		}, "does not work any more"},
		{"wrong issuer", func(t *testing.T, _ *vaulttest.Stack, b *http.Client, c string) (*http.Client, string) {
			return b, with(t, c, "iss", "https://evil.example")
		}, "was not connected"},
		{"too late", func(_ *testing.T, s *vaulttest.Stack, b *http.Client, c string) (*http.Client, string) {
			s.Clock.Advance(10 * time.Minute)
			return b, c
		}, "does not work any more"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := vaulttest.New(t, vaulttest.Config{})
			browser, callback := stopped(t, s, "alice", "acme")
			browser, callback = row.change(t, s, browser, callback)
			code, page := open(t, s, browser, callback)
			if code < 400 || !strings.Contains(page, row.want) {
				t.Errorf("the browser ended at %d, want a page with %q:\n%s", code, row.want, page)
			}
			if n := s.Sandbox.Requests(sandbox.Token); n != 0 {
				t.Errorf("%d codes were redeemed, want none", n)
			}
			_, err := s.Client.GetConnection(t.Context(), &tokenvaultv1.GetConnectionRequest{Subject: "alice", Provider: "acme"})
			wantError(t, err, codes.NotFound, "NOT_CONNECTED")
		})
	}
}

func TestAStateWorksOnce(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	browser, callback := stopped(t, s, "alice", "acme")
	if code, page := open(t, s, browser, callback); code != http.StatusOK {
		t.Fatalf("the first callback ended at %d:\n%s", code, page)
	}
	code, page := open(t, s, browser, callback) // the page at the end, loaded again
	if code != http.StatusBadRequest || !strings.Contains(page, "used already") || !strings.Contains(page, "see what is connected") || strings.Contains(page, "Nothing was changed") {
		t.Errorf("the same callback again ended at %d, want 400 and a page that says that the link was used:\n%s", code, page)
	}
	if n := strings.Count(page, "This link has been used already"); n != 1 {
		t.Errorf("the page says %d times that the link was used, want once:\n%s", n, page)
	}
	code, page = open(t, s, s.NewBrowser(), callback)
	if code != http.StatusForbidden || strings.Contains(page, "used") || strings.Contains(page, "Nothing was changed") {
		t.Errorf("the same callback in another browser ended at %d, want 403 and a page that tells nothing:\n%s", code, page)
	}
	if n := s.Sandbox.Requests(sandbox.Token); n != 1 {
		t.Errorf("%d token requests, want 1", n)
	}
	credentials(t, s, "alice", "acme") // the provider has not seen the code twice
}

func TestOpeningALinkDoesNotUseItUp(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	resp, err := s.Client.Connect(t.Context(), &tokenvaultv1.ConnectRequest{Subject: "alice", Provider: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	preview := s.NewBrowser()
	open(t, s, preview, resp.GetConnectUrl())
	first, firstCallback := stoppedAt(t, s, s.NewBrowser(), resp.GetConnectUrl())
	second, secondCallback := stoppedAt(t, s, first, resp.GetConnectUrl()) // another tab
	if code, page := open(t, s, second, secondCallback); code != http.StatusOK {
		t.Fatalf("the second tab ended at %d:\n%s", code, page)
	}
	if code, page := open(t, s, first, firstCallback); code != http.StatusBadRequest || !strings.Contains(page, "used already") {
		t.Errorf("the first tab ended at %d, want a page that says the link was used:\n%s", code, page)
	}
}

func TestDecliningLeavesTheLinkUsable(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	resp, err := s.Client.Connect(t.Context(), &tokenvaultv1.ConnectRequest{Subject: "alice", Provider: "mailchimp"})
	if err != nil {
		t.Fatal(err)
	}
	person := sandbox.Person{Client: s.NewBrowser()}
	denied, err := person.Deny(t.Context(), resp.GetConnectUrl())
	if err != nil {
		t.Fatal(err)
	}
	if page := s.Body(denied); denied.StatusCode != http.StatusForbidden || !strings.Contains(page, "declined") {
		t.Errorf("declining ended at %d:\n%s", denied.StatusCode, page)
	}
	if code, page := open(t, s, person.Client, denied.Request.URL.String()); code != http.StatusBadRequest || !strings.Contains(page, "open the link again") {
		t.Errorf("the same answer again ended at %d:\n%s", code, page)
	}
	approved, err := person.Approve(t.Context(), resp.GetConnectUrl(), vaulttest.Ada)
	if err != nil {
		t.Fatal(err)
	}
	if page := s.Body(approved); approved.StatusCode != http.StatusOK {
		t.Errorf("approving afterwards ended at %d:\n%s", approved.StatusCode, page)
	}
}

func TestACodeThatTheProviderRefusesLeavesTheLinkUsable(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	resp, err := s.Client.Connect(t.Context(), &tokenvaultv1.ConnectRequest{Subject: "alice", Provider: "mailchimp"})
	if err != nil {
		t.Fatal(err)
	}
	person := sandbox.Person{Client: s.NewBrowser()}
	s.Sandbox.Fault(sandbox.Token, sandbox.Fault{Status: 400, Body: `{"error":"invalid_grant"}`, Times: 1})
	refused, err := person.Approve(t.Context(), resp.GetConnectUrl(), vaulttest.Ada)
	if err != nil {
		t.Fatal(err)
	}
	if page := s.Body(refused); refused.StatusCode != http.StatusBadRequest || !strings.Contains(page, "did not accept") {
		t.Errorf("the refused code ended at %d:\n%s", refused.StatusCode, page)
	}
	again, err := person.Approve(t.Context(), resp.GetConnectUrl(), vaulttest.Ada)
	if err != nil {
		t.Fatal(err)
	}
	if page := s.Body(again); again.StatusCode != http.StatusOK {
		t.Errorf("trying again ended at %d:\n%s", again.StatusCode, page)
	}
}

func TestATokenIsKeptWhenItsMetadataFails(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	s.Sandbox.Fault(sandbox.Metadata, sandbox.Fault{Status: 503, Times: 2})
	if code, page := s.Connect("alice", "mailchimp", vaulttest.Ada); code != http.StatusOK {
		t.Fatalf("the browser ended at %d:\n%s", code, page)
	}
	_, err := s.Client.GetCredentials(t.Context(), &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "mailchimp"})
	wantError(t, err, codes.Unavailable, "PROVIDER_UNAVAILABLE")
	s.Restart()
	if got := credentials(t, s, "alice", "mailchimp").GetMetadata()["dc"]; got != "us6" {
		t.Errorf("dc = %q, want us6", got)
	}
	if n := s.Sandbox.Requests(sandbox.Token); n != 1 {
		t.Errorf("%d token requests, want 1", n)
	}
}

func TestACraftedDataCenterNeverBecomesAHost(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	s.Sandbox.Fault(sandbox.Metadata, sandbox.Fault{Body: `{"dc":"us6.evil.example/","user_id":1,"accountname":"x"}`})
	s.Connect("alice", "mailchimp", vaulttest.Ada)
	_, err := s.Client.GetCredentials(t.Context(), &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "mailchimp"})
	wantError(t, err, codes.Unavailable, "PROVIDER_UNAVAILABLE")
}

func TestPagesAreNotCachedFramedOrToldOfElsewhere(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	for _, path := range []string{"/", "/oauth/mailchimp/callback?code=x&state=y", "/oauth/mailchimp/authorize?session=x", "/v1/connections", "/nowhere"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.GatewayURL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.NewBrowser().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		s.Body(resp)
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %s = %q, want %q", path, name, got, want)
			}
		}
		if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: Content-Security-Policy = %q", path, csp)
		}
	}
}

func TestTheBackgroundFetchesWhatTheCallbackCouldNot(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	s.Sandbox.Fault(sandbox.Metadata, sandbox.Fault{Status: 503, Times: 1})
	s.Connect("alice", "mailchimp", vaulttest.Ada)
	if n := s.Sandbox.Requests(sandbox.Metadata); n != 1 {
		t.Fatalf("%d look-ups, want 1", n)
	}
	s.Clock.Advance(time.Minute)
	s.Restart() // which looks at what is due at once
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		resp, err := s.Client.GetConnection(t.Context(), &tokenvaultv1.GetConnectionRequest{Subject: "alice", Provider: "mailchimp"})
		if err != nil {
			t.Fatal(err)
		}
		if resp.GetConnection().GetMetadata()["dc"] == "us6" && resp.GetConnection().GetProblem() == "" {
			return
		}
	}
	t.Error("the details were never fetched")
}
