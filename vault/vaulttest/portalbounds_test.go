package vaulttest_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

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

func TestThePortalIsForTheGatewayAlone(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	inPortal(t, s, "alice")
	_, err := tokenvaultv1.NewPortalServiceClient(s.Conn).GetPortal(t.Context(), &tokenvaultv1.GetPortalRequest{})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("the gRPC listener answers with %v", err)
	}
}
