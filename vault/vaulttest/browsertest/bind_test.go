package browsertest

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// hostApp is an application whose people connect accounts. It knows by a cookie of
// its own who sits before a browser.
type hostApp struct {
	url    string
	client tokenvaultv1.VaultServiceClient
}

// newHostApp starts an application and a vault whose flows it confirms.
func newHostApp(t *testing.T) (*hostApp, *vaulttest.Stack) {
	t.Helper()
	app := new(hostApp)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sign-in/{person}", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "person", Value: r.PathValue("person"), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
		show(w, "Hello "+r.PathValue("person"))
	})
	mux.HandleFunc("GET /connected", app.confirm)
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	app.url = web.URL
	s := vaulttest.New(t, vaulttest.Config{Binding: vault.BindingConfirm, ReturnURLs: []string{app.url + "/connected"}, Audit: true})
	app.client = s.Client
	return app, s
}

// confirm is the page to which people come back. It believes its own cookie alone
// about who they are.
func (a *hostApp) confirm(w http.ResponseWriter, r *http.Request) {
	person, err := r.Cookie("person")
	if err != nil {
		show(w, "Sign in")
		return
	}
	q := r.URL.Query()
	if q.Get("status") != "confirm" {
		show(w, "Not connected: "+q.Get("reason"))
		return
	}
	resp, err := a.client.ConfirmConnection(r.Context(), &tokenvaultv1.ConfirmConnectionRequest{Confirmation: q.Get("confirmation"), Subject: person.Value})
	if err != nil {
		show(w, "Not connected: "+reasonOf(err))
		return
	}
	show(w, fmt.Sprintf("%s has connected %s", person.Value, resp.GetConnection().GetAccount().GetName()))
}

func show(w http.ResponseWriter, heading string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, `<!DOCTYPE html><html lang="en"><head><title>App</title><link rel="icon" href="data:,"></head><body><h1>%s</h1></body></html>`, html.EscapeString(heading))
}

func reasonOf(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return err.Error()
}

// begin has the application ask for a link for somebody.
func (a *hostApp) begin(t *testing.T, subject string) *tokenvaultv1.ConnectResponse {
	t.Helper()
	resp, err := a.client.Connect(t.Context(), &tokenvaultv1.ConnectRequest{Subject: subject, Provider: "mailchimp", ReturnUrl: a.url + "/connected"})
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// wantNothing fails where a code was redeemed, somebody is connected, or the audit
// log has not exactly one line of that reason.
func wantNothing(t *testing.T, s *vaulttest.Stack, reason string) {
	t.Helper()
	wantRedeemed(t, s, 0)
	list, err := s.Client.ListConnections(t.Context(), &tokenvaultv1.ListConnectionsRequest{})
	if err != nil || len(list.GetConnections()) != 0 {
		t.Errorf("there are connections: %v, %v", list, err)
	}
	log, err := os.ReadFile(s.AuditPath)
	if n := strings.Count(string(log), reason); err != nil || n != 1 {
		t.Errorf("the audit log tells %d times of %s, want once (%v)", n, reason, err)
	}
}

func TestTheHostApplicationConfirmsWhoseAccountItIs(t *testing.T) {
	t.Parallel()
	app, s := newHostApp(t)
	tab := chromium.NewBrowser(t).Open(app.url + "/sign-in/alice")
	tab.Visit(app.begin(t, "alice").GetConnectUrl())
	tab.Press("Allow")
	tab.See("alice has connected " + adasAccount)
	wantAccount(t, s, "alice", adasAccount)
	tab.Back()
	tab.Press("Allow")
	tab.See(used)
	wantRedeemed(t, s, 1)
}

func TestDecliningLeadsBackToTheHostApplication(t *testing.T) {
	t.Parallel()
	app, s := newHostApp(t)
	tab := chromium.NewBrowser(t).Open(app.url + "/sign-in/alice")
	tab.Visit(app.begin(t, "alice").GetConnectUrl())
	tab.Press("Decline")
	tab.See("Not connected: access_denied")
	wantRedeemed(t, s, 0)
}

func TestAlicesLinkInBobsBrowser(t *testing.T) {
	t.Parallel()
	t.Run("confirm", func(t *testing.T) {
		app, s := newHostApp(t)
		bobs := chromium.NewBrowser(t).Open(app.url + "/sign-in/bob")
		bobs.Visit(app.begin(t, "alice").GetConnectUrl())
		bobs.Press("Allow")
		bobs.See("Not connected: SESSION_WRONG_SUBJECT")
		wantNothing(t, s, "SESSION_WRONG_SUBJECT")
	})
	t.Run("login", func(t *testing.T) {
		issuer := vaulttest.NewIssuer(t, nil)
		s := vaulttest.New(t, vaulttest.Config{Binding: vault.BindingLogin, Issuer: issuer, Audit: true})
		issuer.SignInAs("bob", nil)
		bobs := chromium.NewBrowser(t).Open(linkFor(t, s, "alice"))
		bobs.See("This link is for somebody else")
		bobs.Inspect("somebody-elses-link")
		if text := bobs.Text(); strings.Contains(text, "alice") {
			t.Errorf("the page tells for whom the link is:\n%s", text)
		}
		wantNothing(t, s, "SESSION_WRONG_SUBJECT")
		issuer.SignInAs("alice", nil) // it was Alice, signed in as somebody else
		bobs.Press("Sign in as somebody else")
		bobs.See(consent)
		bobs.Press("Allow")
		bobs.See(connected)
	})
	t.Run("link", func(t *testing.T) { // whoever has the link: that is the mode
		s := vaulttest.New(t, vaulttest.Config{})
		connect(t, s, chromium.NewBrowser(t), "alice")
		wantAccount(t, s, "alice", adasAccount)
	})
}

// TestBobsConsentIsNoUseToAlice has Alice begin a flow, and Bob finish it up to the
// confirmation. She knows her session's id, not the confirmation in his browser.
func TestBobsConsentIsNoUseToAlice(t *testing.T) {
	t.Parallel()
	app, s := newHostApp(t)
	begun := app.begin(t, "alice")
	bobs := chromium.NewBrowser(t).Open(begun.GetConnectUrl())
	bobs.Press("Allow")
	bobs.See("Sign in") // nobody is, at the application
	alices := chromium.NewBrowser(t).Open(app.url + "/sign-in/alice")
	alices.Visit(app.url + "/connected?status=confirm&confirmation=" + begun.GetSession())
	alices.See("Not connected: SESSION_EXPIRED")
	wantNothing(t, s, "SESSION_EXPIRED")
}

func TestSigningIn(t *testing.T) {
	t.Parallel()
	issuer := vaulttest.NewIssuer(t, nil)
	s := vaulttest.New(t, vaulttest.Config{Binding: vault.BindingLogin, Issuer: issuer, ConsentPage: true})
	browser := chromium.NewBrowser(t)
	tab := browser.Open(linkFor(t, s, "alice"))
	tab.See("You are not signed in")
	tab.Inspect("not-signed-in")
	issuer.SignInAs("alice", nil)
	tab.Visit(linkFor(t, s, "alice"))
	tab.See("Connect your Mailchimp account?")
	tab.Inspect("connect-account")
	tab.Press("Go on to Mailchimp")
	tab.See(consent)
	tab.Press("Allow")
	tab.See(connected)
	wantAccount(t, s, "alice", adasAccount)
}
