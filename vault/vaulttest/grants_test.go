package vaulttest_test

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

func connectClient(t *testing.T, e *vaulttest.Engine, scopes ...string) vault.Connection {
	t.Helper()
	result, err := e.Vault.Connect(t.Context(), vault.ConnectRequest{Key: e.Key("alice"), Grant: vault.ClientCredentials, Scopes: scopes})
	if err != nil || result.Connection == nil || result.ConnectURL != "" || result.Session != "" {
		t.Fatalf("Connect: %+v, %v; want a connection and no link", result, err)
	}
	return *result.Connection
}

// wantLast checks that callers get what the provider has issued last, and that it
// works.
func wantLast(t *testing.T, e *vaulttest.Engine, when string) vault.Credentials {
	t.Helper()
	creds, err := e.Credentials("alice")
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	if last := e.Sandbox.LastIssued(); creds.AccessToken.Reveal() != last.AccessToken || !e.Sandbox.Valid(last.AccessToken) {
		t.Errorf("%s: the vault hands out another token than the last one issued, or it does not work", when)
	}
	return creds
}

// TestAClientsOwnConnectionIsRenewedByAskingAgain lets a connection without a person
// live for days.
func TestAClientsOwnConnectionIsRenewedByAskingAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
		scopes := []string{"contacts.read", "contacts.write"}
		conn := connectClient(t, e, scopes...)
		if conn.Status != vault.Connected || conn.Account != (vault.Account{}) || conn.ExpireTime.IsZero() {
			t.Errorf("connection = %+v", conn)
		}
		for range 30 {
			time.Sleep(100 * time.Minute)
			creds := wantLast(t, e, "in the background")
			if diff := cmp.Diff(scopes, creds.Scopes); diff != "" || e.Sandbox.LastIssued().Scope != strings.Join(scopes, " ") {
				t.Errorf("scopes %q (-want +got):\n%s", e.Sandbox.LastIssued().Scope, diff)
			}
		}
		if got := e.Connection("alice"); got.Status != vault.Connected || got.Generation < conn.Generation+30 || got.LastRefreshTime.IsZero() {
			t.Errorf("after two days: %+v", got)
		}
		before := e.Connection("alice").Generation
		if got, err := e.Vault.RefreshConnection(t.Context(), e.Key("alice")); err != nil || got.Generation != before+1 {
			t.Errorf("RefreshConnection: %+v, %v", got, err)
		}
		e.Stop()
		time.Sleep(24 * time.Hour)
		e.Restart()
		wantLast(t, e, "after a day without a vault")

		e.Sandbox.Fault(sandbox.Token, sandbox.Fault{DropAfter: true, Times: 3})
		time.Sleep(2 * time.Hour)
		wantLast(t, e, "after lost answers")
		if e.Sandbox.LastIssued().RefreshToken != "" || e.Sandbox.RevokedFamilies() != 0 {
			t.Error("there was a refresh token")
		}

		last := e.Sandbox.LastIssued().AccessToken
		result, err := e.Vault.Disconnect(t.Context(), e.Key("alice"))
		if err != nil || result.Revocation != vault.Revoked || e.Sandbox.Valid(last) {
			t.Errorf("Disconnect: %+v, %v; the token works: %v", result, err, e.Sandbox.Valid(last))
		}
	})
}

func TestAClientThatTheProviderRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
		ask := func() error {
			_, err := e.Vault.Connect(t.Context(), vault.ConnectRequest{Key: e.Key("alice"), Grant: vault.ClientCredentials})
			return err
		}
		e.Sandbox.SetSecrets(vaulttest.ClientID, "another")
		wantReason(t, ask(), vault.ProviderMisconfigured)
		e.Sandbox.SetSecrets(vaulttest.ClientID, e.Seat.ClientSecret)
		e.Sandbox.Fault(sandbox.Token, sandbox.Fault{Status: http.StatusServiceUnavailable, Times: 1})
		wantReason(t, ask(), vault.ProviderUnavailable)
		e.Sandbox.Fault(sandbox.Token, sandbox.Fault{Status: http.StatusBadRequest, Body: `{"error":"unauthorized_client"}`, Times: 1})
		wantReason(t, ask(), vault.GrantNotSupported)
		if _, err := e.Credentials("alice"); vault.ReasonOf(err) != vault.NotConnected {
			t.Errorf("credentials: %v, want NOT_CONNECTED", err)
		}

		connectClient(t, e)
		e.Sandbox.SetSecrets(vaulttest.ClientID, newSecret)
		rotate(t, e.Vault, time.Hour)
		time.Sleep(2 * time.Hour)
		wantLast(t, e, "after a rotation")
	})
}

// deviceFlow is one of alice's.
type deviceFlow struct {
	*vaulttest.Engine
	t     *testing.T
	log   *vaulttest.Log
	begun vault.ConnectResult
}

func newDeviceFlow(t *testing.T) *deviceFlow {
	t.Helper()
	d := &deviceFlow{t: t, log: &vaulttest.Log{}}
	d.Engine = vaulttest.NewEngine(t, vaulttest.EngineConfig{Log: slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: slog.LevelDebug})})
	d.begin()
	return d
}

func (d *deviceFlow) begin() {
	d.t.Helper()
	var err error
	d.begun, err = d.Vault.Connect(d.t.Context(), vault.ConnectRequest{Key: d.Key("alice"), Grant: vault.DeviceCode, Scopes: []string{"contacts.read"}})
	if err != nil {
		d.t.Fatal(err)
	}
	want := d.Seat.ProviderURL + "/device/verify?user_code=" + d.begun.UserCode
	if life := time.Until(d.begun.ExpireTime); d.begun.UserCode == "" || d.begun.ConnectURL != want || life != 10*time.Minute {
		d.t.Errorf("begun: %+v; want %s, for 10 minutes", d.begun, want)
	}
}

func (d *deviceFlow) decide(account int) {
	d.t.Helper()
	if err := d.Sandbox.EnterCode(d.begun.UserCode, account); err != nil {
		d.t.Fatal(err)
	}
}

// wantConnected waits for a moment longer than two requests are apart.
func (d *deviceFlow) wantConnected() {
	d.t.Helper()
	time.Sleep(30 * time.Second)
	conn := d.Connection("alice")
	if conn.Status != vault.Connected || conn.Account.ID != "31415926" || !slices.Equal(conn.Scopes, []string{"contacts.read"}) {
		d.t.Errorf("connection = %+v", conn)
	}
	wantLast(d.t, d.Engine, "at the end of the flow")
	d.wantQuiet()
}

func (d *deviceFlow) wantNothing() {
	d.t.Helper()
	time.Sleep(30 * time.Second)
	if _, err := d.Credentials("alice"); vault.ReasonOf(err) != vault.NotConnected {
		d.t.Errorf("credentials: %v, want NOT_CONNECTED", err)
	}
	d.wantQuiet()
}

// wantQuiet checks that the provider is not asked any more, and that no secret was
// logged.
func (d *deviceFlow) wantQuiet() {
	d.t.Helper()
	before := d.Sandbox.Requests(sandbox.Token)
	time.Sleep(10 * time.Minute)
	if n := d.Sandbox.Requests(sandbox.Token) - before; n != 0 {
		d.t.Errorf("%d requests after the end", n)
	}
	if text := d.log.String(); d.begun.UserCode != "" && strings.Contains(text, d.begun.UserCode) {
		d.t.Errorf("the user code is in the log:\n%s", text)
	}
}

// gaps are the seconds between the requests for a token.
func (d *deviceFlow) gaps() []int {
	var gaps []int
	times := d.Sandbox.RequestTimes(sandbox.Token)
	for i := range times {
		if i > 0 {
			gaps = append(gaps, int(times[i].Sub(times[i-1]).Round(time.Second).Seconds()))
		}
	}
	return gaps
}

// runDeviceFlows runs each in a bubble of its own.
func runDeviceFlows(t *testing.T, flows map[string]func(*deviceFlow)) {
	t.Parallel()
	for name, run := range flows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { run(newDeviceFlow(t)) })
		})
	}
}

func TestADeviceFlow(t *testing.T) {
	runDeviceFlows(t, map[string]func(*deviceFlow){
		"approved": func(d *deviceFlow) {
			time.Sleep(22 * time.Second)
			if got := d.gaps(); !slices.Equal(got, []int{5, 5, 5}) {
				d.t.Errorf("seconds between requests = %v, want 5", got)
			}
			d.decide(vaulttest.Ada)
			d.wantConnected()
		},
		"declined": func(d *deviceFlow) {
			time.Sleep(7 * time.Second)
			d.decide(0)
			d.wantNothing()
		},
		"never decided": func(d *deviceFlow) {
			time.Sleep(10 * time.Minute)
			d.wantNothing()
			if err := d.Sandbox.EnterCode(d.begun.UserCode, vaulttest.Ada); err == nil {
				d.t.Error("the code is good for longer")
			}
		},
		"asked to slow down": func(d *deviceFlow) {
			d.Sandbox.Fault(sandbox.Token, sandbox.Fault{Status: http.StatusBadRequest, Body: `{"error":"slow_down"}`, Times: 2})
			time.Sleep(63 * time.Second)
			if got := d.gaps(); !slices.Equal(got, []int{10, 15, 15, 15}) {
				d.t.Errorf("seconds between requests = %v, want 10, then 15", got)
			}
			d.decide(vaulttest.Ada)
			d.wantConnected()
		},
	})
}

func TestADeviceFlowThatIsInterrupted(t *testing.T) {
	runDeviceFlows(t, map[string]func(*deviceFlow){
		"an outage meanwhile": func(d *deviceFlow) {
			now := time.Now()
			d.Sandbox.Outage(now, now.Add(time.Minute), sandbox.Fault{Status: http.StatusServiceUnavailable})
			time.Sleep(3 * time.Minute)
			d.decide(vaulttest.Ada)
			time.Sleep(time.Minute)
			d.wantConnected()
		},
		"a restart meanwhile": func(d *deviceFlow) {
			time.Sleep(12 * time.Second)
			d.Restart()
			time.Sleep(12 * time.Second)
			d.decide(vaulttest.Ada)
			d.wantConnected()
		},
		"decided while the vault was down": func(d *deviceFlow) {
			time.Sleep(12 * time.Second)
			d.Stop()
			d.decide(vaulttest.Ada)
			time.Sleep(5 * time.Minute)
			d.Restart()
			d.wantConnected()
		},
		"two vaults": func(d *deviceFlow) {
			_, stop := d.Another()
			time.Sleep(22 * time.Second)
			d.decide(vaulttest.Ada)
			d.wantConnected()
			if n := d.Sandbox.LiveFamilies(); n != 1 {
				d.t.Errorf("the provider has issued tokens %d times", n)
			}
			stop()
		},
		"disconnected meanwhile": func(d *deviceFlow) {
			if err := d.Engine.Connect("alice", vaulttest.Ada); err != nil {
				d.t.Fatal(err)
			}
			time.Sleep(time.Second)
			d.begin()
			time.Sleep(7 * time.Second)
			if _, err := d.Vault.Disconnect(d.t.Context(), d.Key("alice")); err != nil {
				d.t.Fatal(err)
			}
			d.decide(vaulttest.Ada)
			time.Sleep(10 * time.Minute) // the first flow of this test is still asked about
			d.wantNothing()
			if n := d.Sandbox.LiveFamilies(); n != 0 {
				d.t.Errorf("%d grants are alive at the provider that nobody has", n)
			}
		},
	})
}

// TestAClientWithAKey does everything that a client can be asked for, with
// private_key_jwt.
func TestAClientWithAKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{Definitions: map[string]provider.Definition{"acme": {
			DisplayName: "Acme", AuthorizeURL: "https://acme.example/authorize", TokenURL: "https://acme.example/token",
			RevokeURL: "https://acme.example/revoke", DeviceURL: "https://acme.example/device",
			ClientAuth: provider.ClientAuthPrivateKeyJWT, Grants: []provider.Grant{provider.GrantAuthorizationCode, provider.GrantDeviceCode, provider.GrantClientCredentials},
		}}})
		e.MustConnect("alice")
		if _, err := e.Vault.RefreshConnection(t.Context(), e.Key("alice")); err != nil {
			t.Errorf("refresh: %v", err)
		}
		if result, err := e.Vault.Disconnect(t.Context(), e.Key("alice")); err != nil || result.Revocation != vault.Revoked {
			t.Errorf("disconnect: %+v, %v", result, err)
		}
		time.Sleep(time.Second)
		connectClient(t, e)
		time.Sleep(2 * time.Hour)
		wantLast(t, e, "the client's own")
		begun, err := e.Vault.Connect(t.Context(), vault.ConnectRequest{Key: e.Key("bob"), Grant: vault.DeviceCode})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Sandbox.EnterCode(begun.UserCode, vaulttest.Ada); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if _, err := e.Credentials("bob"); err != nil {
			t.Errorf("device: %v", err)
		}
	})
}

func TestAPublicClientHasNothingOfItsOwn(t *testing.T) {
	t.Parallel()
	e := vaulttest.NewEngine(t, vaulttest.EngineConfig{Quiet: true, Definitions: map[string]provider.Definition{"acme": {
		AuthorizeURL: "https://acme.example/authorize", TokenURL: "https://acme.example/token", ClientAuth: provider.ClientAuthNone,
	}}})
	_, err := e.Vault.Connect(t.Context(), vault.ConnectRequest{Key: e.Key("alice"), Grant: vault.ClientCredentials})
	wantReason(t, err, vault.GrantNotSupported)
	if err := e.Connect("alice", vaulttest.Ada); err != nil {
		t.Errorf("with a person: %v", err)
	}
}

// TestTheGrantIsChosenInTheRequest goes over gRPC.
func TestTheGrantIsChosenInTheRequest(t *testing.T) {
	t.Parallel()
	s := vaulttest.New(t, vaulttest.Config{})
	connect := func(providerName string, grant tokenvaultv1.ConnectGrant) (*tokenvaultv1.ConnectResponse, error) {
		return s.Client.Connect(t.Context(), &tokenvaultv1.ConnectRequest{Subject: "machine", Provider: providerName, Grant: grant})
	}
	const device, client = tokenvaultv1.ConnectGrant_CONNECT_GRANT_DEVICE_CODE, tokenvaultv1.ConnectGrant_CONNECT_GRANT_CLIENT_CREDENTIALS
	resp, err := connect("acme", client)
	if err != nil || resp.GetConnection().GetStatus() != tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_CONNECTED || resp.GetConnectUrl() != "" {
		t.Errorf("client credentials: %v, %v", resp, err)
	}
	if got := credentials(t, s, "machine", "acme").GetOauth2().GetAccessToken(); !s.Sandbox.Valid(got) {
		t.Error("the client's own token does not work")
	}
	resp, err = connect("acme", device)
	if err != nil || resp.GetUserCode() == "" || resp.GetConnection() != nil {
		t.Fatalf("device code: %v, %v", resp, err)
	}
	if status, page := open(t, s, s.NewBrowser(), resp.GetConnectUrl()); status != http.StatusOK || !strings.Contains(page, resp.GetUserCode()) {
		t.Errorf("the person's page: status %d:\n%s", status, page)
	}
	for _, grant := range []tokenvaultv1.ConnectGrant{device, client} {
		_, err := connect("mailchimp", grant)
		wantError(t, err, codes.FailedPrecondition, "GRANT_NOT_SUPPORTED")
	}
	_, err = connect("acme", 99)
	wantError(t, err, codes.InvalidArgument, "INVALID_CONNECT_GRANT")
}
