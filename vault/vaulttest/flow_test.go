package vaulttest_test

import (
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// begin asks for a link for alice, and returns its session.
func begin(t *testing.T, e *vaulttest.Engine) string {
	t.Helper()
	begun, err := e.Vault.Connect(t.Context(), vault.ConnectRequest{Key: e.Key("alice")})
	if err != nil {
		t.Fatal(err)
	}
	return begun.Session
}

func wantReason(t *testing.T, err error, want vault.Reason) {
	t.Helper()
	if got := vault.ReasonOf(err); got != want {
		t.Errorf("got %v, want reason %s", err, want)
	}
}

func TestALinkDoesNotOutliveADisconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
		e.MustConnect("alice")
		old := begin(t, e)
		time.Sleep(time.Minute)
		if _, err := e.Vault.Disconnect(t.Context(), e.Key("alice")); err != nil {
			t.Fatal(err)
		}
		asked := e.Sandbox.Requests(sandbox.Token)
		wantReason(t, e.Approve(old, vaulttest.Grace), vault.SessionExpired)
		if n := e.Sandbox.Requests(sandbox.Token) - asked; n != 0 {
			t.Errorf("%d codes were redeemed", n)
		}
		_, err := e.Credentials("alice")
		wantReason(t, err, vault.NotConnected)

		time.Sleep(time.Second)
		e.MustConnect("alice") // with a link of its own
	})
}

func TestADisconnectWinsOverAFlowUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
		e.MustConnect("alice")
		e.Sandbox.Fault(sandbox.Token, sandbox.Fault{Delay: 10 * time.Second})
		time.Sleep(time.Second)
		again := begin(t, e)
		var flow sync.WaitGroup
		flow.Go(func() { wantReason(t, e.Approve(again, vaulttest.Ada), vault.SessionExpired) })
		time.Sleep(5 * time.Second) // the code is on its way
		if _, err := e.Vault.Disconnect(t.Context(), e.Key("alice")); err != nil {
			t.Fatal(err)
		}
		flow.Wait()
		_, err := e.Credentials("alice")
		wantReason(t, err, vault.NotConnected)
		time.Sleep(time.Hour)
		if n := e.Sandbox.LiveFamilies(); n != 0 {
			t.Errorf("%d grants still live at the provider", n)
		}
	})
}

func TestTokensAreKeptThoughTheLinkEndsWhileTheyAreIssued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
		session := begin(t, e)
		time.Sleep(vault.SessionLifetime - time.Second)
		e.Sandbox.Fault(sandbox.Token, sandbox.Fault{Delay: 25 * time.Second})
		if err := e.Approve(session, vaulttest.Ada); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Credentials("alice"); err != nil {
			t.Error(err)
		}
	})
}

func TestALinkBearsOnlySoManyAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
		session := begin(t, e)
		for range 100 {
			opened, err := e.Vault.Authorize(t.Context(), vault.AuthorizeRequest{Provider: "acme", Session: session})
			if err != nil {
				wantReason(t, err, vault.SessionExpired)
				break
			}
			_, _ = e.Vault.Callback(t.Context(), vault.CallbackRequest{
				Provider: "acme", State: stateOf(t, opened.Location), Code: secret.New("junk"), FlowCookie: opened.FlowCookie,
			})
		}
		if n := e.Sandbox.Requests(sandbox.Token); n != 5 {
			t.Errorf("%d codes were sent to the provider, want 5", n)
		}

		other := begin(t, e)
		opened := 0
		for range 100 {
			if _, err := e.Vault.Authorize(t.Context(), vault.AuthorizeRequest{Provider: "acme", Session: other}); err == nil {
				opened++
			}
		}
		if opened != 50 {
			t.Errorf("the link was opened %d times, want 50", opened)
		}
	})
}

func TestADeadRefreshTokenIsNotTakenOverByTheNextGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
		e.MustConnect("alice")
		creds, err := e.Credentials("alice")
		if err != nil {
			t.Fatal(err)
		}
		e.MustConnect("bob")
		e.Sandbox.RevokeFamily(e.Sandbox.FamilyOf(creds.AccessToken.Reveal()))
		time.Sleep(time.Hour)
		if conn := e.Connection("alice"); conn.Status != vault.NeedsReauthorization {
			t.Fatalf("status = %v", conn.Status)
		}
		// Bob's refresh token is good, so the same account gets no other one.
		e.Sandbox.Fault(sandbox.Token, sandbox.Fault{Quirks: []sandbox.Quirk{sandbox.RefreshTokenFirstConsentOnly}})
		e.MustConnect("alice")
		if conn := e.Connection("alice"); conn.Status != vault.ExpiringSoon {
			t.Errorf("status = %v, want that it will stop working: its refresh token was dead before", conn.Status)
		}
	})
}

// stateOf returns the state of an authorization request.
func stateOf(t *testing.T, location string) string {
	t.Helper()
	u, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("state")
}
