package vaulttest_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/store"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// home is the host application's page to which people come back. Nothing listens
// there: the browsers of these tests stop before it.
const home = "http://127.0.0.1:1/done"

// newConfirming starts a stack whose flows the host application confirms.
func newConfirming(t *testing.T, rules ...access.Rule) *vaulttest.Stack {
	t.Helper()
	return vaulttest.New(t, vaulttest.Config{Binding: vault.BindingConfirm, ReturnURLs: []string{home, home + "/*"}, Audit: true, Rules: rules})
}

// linkFor asks for a link that leads back to a return URL.
func linkFor(t *testing.T, s *vaulttest.Stack, subject, returnURL string) *tokenvaultv1.ConnectResponse {
	t.Helper()
	resp, err := s.Client.Connect(t.Context(), &tokenvaultv1.ConnectRequest{Subject: subject, Provider: "acme", ReturnUrl: returnURL})
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// comeBack has somebody consent in a browser of their own. It returns the address at
// which the browser comes back to the host application.
func comeBack(t *testing.T, s *vaulttest.Stack, link string, account int) *url.URL {
	t.Helper()
	browser := s.NewBrowser()
	browser.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(req.URL.String(), home) {
			return http.ErrUseLastResponse
		}
		return nil
	}
	page, err := sandbox.Person{Client: browser}.Approve(t.Context(), link, account)
	if err != nil {
		t.Fatal(err)
	}
	body := s.Body(page)
	back, err := page.Location()
	if err != nil {
		t.Fatalf("the browser ended at %d:\n%s", page.StatusCode, body)
	}
	return back
}

// confirmationFor takes a subject through a flow up to its confirmation.
func confirmationFor(t *testing.T, s *vaulttest.Stack, subject string, account int) string {
	t.Helper()
	back := comeBack(t, s, linkFor(t, s, subject, home).GetConnectUrl(), account)
	if got := back.Query().Get("status"); got != "confirm" {
		t.Fatalf("the browser came back to %v", back)
	}
	return back.Query().Get("confirmation")
}

func confirm(t *testing.T, c tokenvaultv1.VaultServiceClient, confirmation, subject string) error {
	t.Helper()
	_, err := c.ConfirmConnection(t.Context(), &tokenvaultv1.ConfirmConnectionRequest{Confirmation: confirmation, Subject: subject})
	return err
}

// wantNothing fails if a code was redeemed or tokens were stored.
func wantNothing(t *testing.T, s *vaulttest.Stack, subjects ...string) {
	t.Helper()
	if n := s.Sandbox.Requests(sandbox.Token); n != 0 {
		t.Errorf("%d codes were redeemed, want none", n)
	}
	for _, subject := range subjects {
		_, err := s.Client.GetConnection(t.Context(), &tokenvaultv1.GetConnectionRequest{Subject: subject, Provider: "acme"})
		wantError(t, err, codes.NotFound, "NOT_CONNECTED")
	}
}

// onRecord counts the lines of the audit log about a reason.
func onRecord(t *testing.T, s *vaulttest.Stack, reason string) (lines []string) {
	t.Helper()
	for _, e := range entries(t, s) {
		if e.Reason == reason {
			lines = append(lines, what(e)+" "+e.Label)
		}
	}
	return lines
}

func TestAConfirmedConnectionGivesCredentials(t *testing.T) {
	s := newConfirming(t)
	confirmation := confirmationFor(t, s, "alice", vaulttest.Ada)
	wantNothing(t, s, "alice")
	resp, err := s.Client.ConfirmConnection(t.Context(), &tokenvaultv1.ConfirmConnectionRequest{Confirmation: confirmation, Subject: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	if conn := resp.GetConnection(); conn.GetSubject() != "alice" || conn.GetProvider() != "acme" || conn.GetAccount().GetName() == "" ||
		conn.GetStatus() != tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_CONNECTED {
		t.Errorf("connection = %v", conn)
	}
	credentials(t, s, "alice", "acme")
	var got []string
	for _, e := range entries(t, s) {
		if e.RPC == "ConfirmConnection" {
			got = append(got, what(e)+" "+e.Tenant+" "+e.Label)
		}
	}
	if want := "ConfirmConnection allowed  everything alice acme default default"; len(got) != 1 || got[0] != want {
		t.Errorf("on record: %q, want %q", got, want)
	}
}

func TestAnotherPersonsConsentIsNotConfirmed(t *testing.T) {
	foreign := access.GenerateToken()
	rule := access.Rule{Name: "foreign", Tokens: access.HashTokens(foreign), Tenant: "other", RPCs: []string{"*"}, Providers: []string{"*"}, Subjects: []string{"*"}}
	for _, row := range []struct {
		name, caller, subject, want string
	}{
		{"Alice's link in Bob's browser", "everything", "bob", "ConfirmConnection failed SESSION_WRONG_SUBJECT everything bob acme default"},
		{"a caller of another tenant", "foreign", "alice", "ConfirmConnection failed SESSION_WRONG_SUBJECT foreign alice acme default"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newConfirming(t, rule)
			caller := s.Client
			if row.caller == "foreign" {
				conn := s.Dial(foreign)
				defer conn.Close()
				caller = tokenvaultv1.NewVaultServiceClient(conn)
			}
			link := linkFor(t, s, "alice", home).GetConnectUrl()
			confirmation := comeBack(t, s, link, vaulttest.Grace).Query().Get("confirmation")
			err := confirm(t, caller, confirmation, row.subject)
			wantError(t, err, codes.PermissionDenied, "SESSION_WRONG_SUBJECT")
			if strings.Contains(err.Error(), "alice") {
				t.Errorf("the error tells for whom the link was: %v", err)
			}
			// The code is gone, also for the one it would have fitted.
			wantError(t, confirm(t, s.Client, confirmation, "alice"), codes.FailedPrecondition, "SESSION_USED")
			if code, page := open(t, s, s.NewBrowser(), link); code != http.StatusBadRequest || !strings.Contains(page, "used already") {
				t.Errorf("the link leads to %d:\n%s", code, page)
			}
			wantNothing(t, s, "alice", "bob")
			if got := onRecord(t, s, "SESSION_WRONG_SUBJECT"); len(got) != 1 || got[0] != row.want {
				t.Errorf("on record: %q, want %q alone", got, row.want)
			}
		})
	}
}

func TestASessionsIDConfirmsNothing(t *testing.T) {
	s := newConfirming(t)
	begun := linkFor(t, s, "alice", home)
	comeBack(t, s, begun.GetConnectUrl(), vaulttest.Grace) // Bob has consented
	wantError(t, confirm(t, s.Client, begun.GetSession(), "alice"), codes.FailedPrecondition, "SESSION_EXPIRED")
	wantError(t, confirm(t, s.Client, "", "alice"), codes.InvalidArgument, "INVALID_CONFIRMATION")
	wantNothing(t, s, "alice", "bob")
	if got := onRecord(t, s, "SESSION_EXPIRED"); len(got) != 1 {
		t.Errorf("on record: %q, want one line", got)
	}
}

func TestAConfirmationWorksOnce(t *testing.T) {
	s := newConfirming(t)
	confirmation := confirmationFor(t, s, "alice", vaulttest.Ada)
	var mu sync.Mutex
	outcomes := map[string]int{}
	var calls sync.WaitGroup
	for range 8 {
		calls.Go(func() {
			_, err := s.Client.ConfirmConnection(t.Context(), &tokenvaultv1.ConfirmConnectionRequest{Confirmation: confirmation, Subject: "alice"})
			mu.Lock()
			defer mu.Unlock()
			outcomes[reason(err)]++
		})
	}
	calls.Wait()
	if outcomes[""] != 1 || outcomes["SESSION_USED"] != 7 {
		t.Errorf("outcomes = %v, want one that connected and 7 times SESSION_USED", outcomes)
	}
	wantError(t, confirm(t, s.Client, confirmation, "alice"), codes.FailedPrecondition, "SESSION_USED")
	if n := s.Sandbox.Requests(sandbox.Token); n != 1 {
		t.Errorf("%d codes were redeemed, want 1", n)
	}
	credentials(t, s, "alice", "acme")
}

func TestACallerConfirmsOnlyWhatItsRulesAllow(t *testing.T) {
	narrow, without := access.GenerateToken(), access.GenerateToken()
	s := newConfirming(t,
		access.Rule{Name: "narrow", Tokens: access.HashTokens(narrow), Tenant: "default", RPCs: []string{"*"}, Providers: []string{"mailchimp"}, Subjects: []string{"alice"}},
		access.Rule{Name: "without", Tokens: access.HashTokens(without), Tenant: "default", RPCs: []string{"Get*"}, Providers: []string{"*"}, Subjects: []string{"*"}},
	)
	confirmation := confirmationFor(t, s, "alice", vaulttest.Ada)
	for _, row := range []struct {
		name    string
		token   secret.String
		subject string
	}{
		{"without the provider", narrow, "alice"},
		{"without the subject", narrow, "bob"},
		{"without the RPC", without, "alice"},
	} {
		t.Run(row.name, func(t *testing.T) {
			conn := s.Dial(row.token)
			defer conn.Close()
			err := confirm(t, tokenvaultv1.NewVaultServiceClient(conn), confirmation, row.subject)
			wantError(t, err, codes.PermissionDenied, "CALLER_FORBIDDEN")
		})
	}
	wantNothing(t, s, "alice")
	if got := onRecord(t, s, "CALLER_FORBIDDEN"); len(got) != 3 || got[0] != "ConfirmConnection denied CALLER_FORBIDDEN narrow alice acme default" {
		t.Errorf("on record: %q", got)
	}
	if err := confirm(t, s.Client, confirmation, "alice"); err != nil {
		t.Errorf("a refused caller has used the confirmation up: %v", err)
	}
}

func TestTheReturnURLKeepsItsOwnQuery(t *testing.T) {
	s := newConfirming(t)
	back := comeBack(t, s, linkFor(t, s, "alice", home+"/x?tab=a%20b&state=1&confirmation=forged&status=connected").GetConnectUrl(), vaulttest.Ada)
	q := back.Query()
	if q.Get("tab") != "a b" || q.Get("state") != "1" || q.Get("status") != "confirm" || len(q["status"]) != 1 || len(q["confirmation"]) != 1 || q.Get("confirmation") == "forged" {
		t.Errorf("the browser came back to %v", back)
	}
	if err := confirm(t, s.Client, q.Get("confirmation"), "alice"); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", home + "#part", home + "/x#confirmation=1"} {
		_, err := s.Client.Connect(t.Context(), &tokenvaultv1.ConnectRequest{Subject: "alice", Provider: "acme", ReturnUrl: bad})
		wantError(t, err, codes.InvalidArgument, "INVALID_RETURN_URL")
	}
}

func TestAnAPIClientConfirmsOverREST(t *testing.T) {
	s := newConfirming(t)
	body := `{"confirmation": "` + confirmationFor(t, s, "alice", vaulttest.Ada) + `", "subject": "alice"}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.GatewayURL+"/v1/connections:confirm", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.Token.Reveal())
	resp, err := new(http.Client).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if answer := s.Body(resp); resp.StatusCode != http.StatusOK || !strings.Contains(answer, `"status":"CONNECTION_STATUS_CONNECTED"`) {
		t.Errorf("%d: %s", resp.StatusCode, answer)
	}
}

func TestAReconnectWithAnotherAccountIsRefusedAtItsConfirmation(t *testing.T) {
	s := newConfirming(t)
	if err := confirm(t, s.Client, confirmationFor(t, s, "alice", vaulttest.Ada), "alice"); err != nil {
		t.Fatal(err)
	}
	before := credentials(t, s, "alice", "acme")
	wantError(t, confirm(t, s.Client, confirmationFor(t, s, "alice", vaulttest.Grace), "alice"), codes.FailedPrecondition, "ACCOUNT_MISMATCH")
	if after := credentials(t, s, "alice", "acme"); after.GetOauth2().GetAccessToken() != before.GetOauth2().GetAccessToken() {
		t.Error("the working connection was touched")
	}
	if err := confirm(t, s.Client, confirmationFor(t, s, "alice", vaulttest.Ada), "alice"); err != nil {
		t.Errorf("the same account again: %v", err)
	}
}

func TestAHeldCodeSurvivesARestart(t *testing.T) {
	s := newConfirming(t)
	confirmation := confirmationFor(t, s, "alice", vaulttest.Ada)
	s.Restart()
	if err := confirm(t, s.Client, confirmation, "alice"); err != nil {
		t.Error(err)
	}
}

// newConfirmingEngine starts an engine whose flows are confirmed, and returns with it
// what takes alice through a flow up to the confirmation, as Ada.
func newConfirmingEngine(t *testing.T, c vaulttest.EngineConfig) (*vaulttest.Engine, func() (session string, confirmation secret.String)) {
	t.Helper()
	c.Binding, c.ReturnURLs = vault.BindingConfirm, []string{home}
	e := vaulttest.NewEngine(t, c)
	return e, func() (string, secret.String) {
		t.Helper()
		begun, err := e.Vault.Connect(t.Context(), vault.ConnectRequest{Key: e.Key("alice"), ReturnURL: home})
		if err != nil {
			t.Fatal(err)
		}
		back, err := e.Return(begun.Session, vaulttest.Ada)
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(back)
		if err != nil {
			t.Fatal(err)
		}
		return begun.Session, secret.New(u.Query().Get("confirmation"))
	}
}

func confirmAs(t *testing.T, e *vaulttest.Engine, confirmation secret.String, subject string) error {
	t.Helper()
	_, err := e.Vault.Confirm(t.Context(), vault.ConfirmRequest{Confirmation: confirmation, Tenant: vault.DefaultTenant, Subject: subject})
	return err
}

func TestAConfirmationEndsWithItsLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, flow := newConfirmingEngine(t, vaulttest.EngineConfig{})
		_, confirmation := flow()
		time.Sleep(vault.SessionLifetime)
		wantReason(t, confirmAs(t, e, confirmation, "alice"), vault.SessionExpired)
		time.Sleep(time.Hour) // the record is swept away
		wantReason(t, confirmAs(t, e, confirmation, "alice"), vault.SessionExpired)
		page, err := e.Store.List(t.Context(), store.Key{Kind: "confirmations"}, "", 10)
		if err != nil || len(page.Records) != 0 {
			t.Errorf("%d held codes are left, %v", len(page.Records), err)
		}
		if n := e.Sandbox.Requests(sandbox.Token); n != 0 {
			t.Errorf("%d codes were redeemed, want none", n)
		}
	})
}

func TestADisconnectWinsOverAConfirmation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, flow := newConfirmingEngine(t, vaulttest.EngineConfig{})
		_, first := flow()
		if err := confirmAs(t, e, first, "alice"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		_, second := flow()
		asked := e.Sandbox.Requests(sandbox.Token)
		if _, err := e.Vault.Disconnect(t.Context(), e.Key("alice")); err != nil {
			t.Fatal(err)
		}
		wantReason(t, confirmAs(t, e, second, "alice"), vault.SessionExpired)
		if n := e.Sandbox.Requests(sandbox.Token) - asked; n != 0 {
			t.Errorf("%d codes were redeemed, want none", n)
		}
	})
}

func TestACodeThatTheProviderRefusesAtItsConfirmationLeavesTheLinkUsable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, flow := newConfirmingEngine(t, vaulttest.EngineConfig{})
		session, confirmation := flow()
		e.Sandbox.Fault(sandbox.Token, sandbox.Fault{Status: 400, Body: `{"error":"invalid_grant"}`, Times: 1})
		wantReason(t, confirmAs(t, e, confirmation, "alice"), vault.AuthorizationFailed)
		wantReason(t, confirmAs(t, e, confirmation, "alice"), vault.SessionUsed)
		back, err := e.Return(session, vaulttest.Ada)
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(back)
		if err != nil {
			t.Fatal(err)
		}
		wantReason(t, confirmAs(t, e, confirmation, "alice"), vault.SessionUsed) // the first one still
		if err := confirmAs(t, e, secret.New(u.Query().Get("confirmation")), "alice"); err != nil {
			t.Error(err)
		}
	})
}

func TestTokensOfAConfirmationAreStoredBeforeAnythingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, flow := newConfirmingEngine(t, vaulttest.EngineConfig{})
		_, confirmation := flow()
		e.Sandbox.Fault(sandbox.UserInfo, sandbox.Fault{Status: 503, Times: 1})
		ctx, leave := context.WithCancel(t.Context())
		e.Sandbox.Fault(sandbox.Token, sandbox.Fault{Delay: 5 * time.Second, Times: 1})
		var call sync.WaitGroup
		call.Go(func() {
			_, _ = e.Vault.Confirm(ctx, vault.ConfirmRequest{Confirmation: confirmation, Tenant: vault.DefaultTenant, Subject: "alice"})
		})
		time.Sleep(time.Second)
		leave() // the application has lost its patience; the code is on its way
		call.Wait()
		e.Restart()
		if _, err := e.Credentials("alice"); err != nil {
			t.Error(err)
		}
		if n := e.Sandbox.Requests(sandbox.Token); n != 1 {
			t.Errorf("%d codes were redeemed, want 1", n)
		}
	})
}

func TestACodeWhoseClaimMayBeOnDiskIsNotRedeemedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &fullDisk{spare: -1}
		e, flow := newConfirmingEngine(t, vaulttest.EngineConfig{WrapStore: func(s store.Store) store.Store { disk.Store = s; return disk }})
		_, confirmation := flow()
		disk.fail(0, false) // the tokens will not be stored
		if err := confirmAs(t, e, confirmation, "alice"); err == nil {
			t.Error("a confirmation whose tokens are not stored has succeeded")
		}
		disk.fail(-1, false)
		e.Restart()
		wantReason(t, confirmAs(t, e, confirmation, "alice"), vault.SessionUsed)
		if n := e.Sandbox.Requests(sandbox.Token); n != 1 {
			t.Errorf("%d codes were redeemed, want 1", n)
		}
	})
}
