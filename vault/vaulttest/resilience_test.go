package vaulttest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/keyring"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/store"
	"github.com/tokenvault/tokenvault/vault/store/boltstore"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

func TestARefreshMayBringTheSameAccessToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{Quiet: true})
		e.MustConnect("alice")
		before, err := e.Credentials("alice")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		var used []string
		note := func(r *http.Request) {
			_ = r.ParseForm()
			used = append(used, r.PostForm.Get("refresh_token"))
		}
		e.Sandbox.Fault(sandbox.Token, sandbox.Fault{Before: note, Body: fmt.Sprintf(`{"access_token":%q,"refresh_token":"second","token_type":"Bearer","expires_in":3600}`, before.AccessToken.Reveal())})
		creds, err := e.Credentials("alice")
		if err != nil {
			t.Fatal(err)
		}
		if left := time.Until(creds.ExpireTime); left < 59*time.Minute {
			t.Errorf("the token handed out has %v left, want an hour", left)
		}
		if g := e.Connection("alice").Generation; g != 2 {
			t.Errorf("generation %d, want 2", g)
		}
		time.Sleep(time.Hour)
		_, err = e.Credentials("alice")
		if err != nil && vault.ReasonOf(err) != vault.ReauthorizationRequired { // "second" is made up
			t.Error(err)
		}
		if len(used) < 2 || used[1] != "second" {
			t.Errorf("the new refresh token was never used: %q", used)
		}
	})
}

func TestAGraceThatPassesWhileWaitingForAPlaceIsNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const grace = 30 * time.Second
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{Quiet: true, Refresh: provider.Refresh{Grace: grace}, Sandbox: func(s *sandbox.Config) { s.ReuseGrace = grace }})
		var others []string
		for i := range 32 {
			others = append(others, fmt.Sprintf("u%d", i))
		}
		e.MustConnect(append(others, "alice")...)
		time.Sleep(40 * time.Minute)
		e.Sandbox.Fault(sandbox.Token, sandbox.Fault{DropAfter: true, Times: 1})
		_, err := e.Vault.RefreshConnection(t.Context(), e.Key("alice"))
		if err == nil {
			t.Fatal("the answer was not lost")
		}
		time.Sleep(8 * time.Second)
		e.Sandbox.Fault(sandbox.Token, sandbox.Fault{Delay: 28 * time.Second})
		var wg sync.WaitGroup
		for _, s := range others {
			wg.Go(func() { _, _ = e.Vault.RefreshConnection(t.Context(), e.Key(s)) })
		}
		time.Sleep(time.Second)
		e.Sandbox.ClearFaults()
		_, _ = e.Vault.RefreshConnection(t.Context(), e.Key("alice"))
		wg.Wait()
		if n := e.Sandbox.RevokedFamilies(); n != 0 {
			t.Errorf("%d families revoked by us", n)
		}
	})
}

func TestRotatingTwiceToTheSameSecretKeepsTheOldOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{Quiet: true})
		e.MustConnect("alice")
		for range 2 { // the first answer was lost, say
			if _, err := e.Vault.RotateClientSecret(t.Context(), "acme", secret.New("second"), vault.DefaultSecretGrace); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour)
		if _, err := e.Credentials("alice"); err != nil {
			t.Errorf("the provider still has the old secret: %v", err)
		}
	})
}

func TestAnotherRotationKeepsTheSecretThatIsStillInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{Quiet: true})
		e.MustConnect("alice")
		change := func(to string, grace time.Duration) {
			t.Helper()
			if _, err := e.Vault.RotateClientSecret(t.Context(), "acme", secret.New(to), grace); err != nil {
				t.Fatal(err)
			}
		}
		change("mistyped", vault.DefaultSecretGrace)
		e.Restart()
		change("second", time.Hour) // a shorter grace does not shorten the one before
		time.Sleep(2 * time.Hour)
		if _, err := e.Vault.RefreshConnection(t.Context(), e.Key("alice")); err != nil {
			t.Errorf("the provider still has the first secret, and its grace has 22 hours to go: %v", err)
		}
		change("third", 0) // the others leaked
		if _, err := e.Vault.RefreshConnection(t.Context(), e.Key("alice")); err == nil {
			t.Error("a former secret is still used after a rotation without a grace")
		}
	})
}

func TestTheRotatedSecretMayBePutIntoTheConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
		e.MustConnect("alice")
		if _, err := e.Vault.RotateClientSecret(t.Context(), "acme", secret.New("second"), vault.DefaultSecretGrace); err != nil {
			t.Fatal(err)
		}
		e.Seat.ClientSecret = "second"
		e.Restart()
		time.Sleep(time.Hour)
		if _, err := e.Credentials("alice"); err != nil {
			t.Errorf("the provider still has the old secret, and its grace has 23 hours to go: %v", err)
		}
	})
}

func TestADisconnectThatFailsLosesNoTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &fullDisk{spare: -1}
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{Quiet: true, WrapStore: func(s store.Store) store.Store { disk.Store = s; return disk }})
		e.MustConnect("alice")
		time.Sleep(time.Hour)
		disk.fail(1, false)
		_, _ = e.Credentials("alice")
		if _, err := e.Vault.Disconnect(t.Context(), e.Key("alice")); err == nil {
			t.Fatal("the disconnect did not fail")
		}
		disk.fail(-1, false)
		if _, err := e.Credentials("alice"); err != nil {
			t.Errorf("the disk has space again: %v", err)
		}
	})
}

func TestCallersAreNotHeldOffForLongAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
		e.MustConnect("alice")
		time.Sleep(30 * time.Minute)
		e.Sandbox.Fault(sandbox.Token, sandbox.Fault{Status: 503})
		time.Sleep(24 * time.Hour)
		e.Sandbox.ClearFaults()
		over := time.Now()
		for {
			if _, err := e.Credentials("alice"); err == nil {
				break
			}
			time.Sleep(10 * time.Second)
		}
		if d := time.Since(over); d > 2*time.Minute {
			t.Errorf("callers were refused for %v after the provider was back", d)
		}
	})
}

func TestOneWhoJoinsAnothersRefreshKeepsTheTokenAtHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{Quiet: true})
		e.MustConnect("alice")
		time.Sleep(time.Hour - 40*time.Second)
		e.Sandbox.Fault(sandbox.Token, sandbox.Fault{Delay: 5 * time.Second, Status: 503})
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = e.Vault.RefreshConnection(t.Context(), e.Key("alice")) })
		time.Sleep(time.Second)
		if _, err := e.Credentials("alice"); err != nil {
			t.Errorf("the token has 35 seconds left: %v", err)
		}
		wg.Wait()
	})
}

func TestAWatcherOfStatusDisconnectedSeesDisconnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{Quiet: true})
		e.MustConnect("alice")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		seen := 0
		var wg sync.WaitGroup
		wg.Go(func() {
			for c, err := range e.Vault.Watch(ctx, vault.WatchRequest{Tenant: vault.DefaultTenant, Status: vault.Disconnected}) {
				if err == nil && c.Event == vault.EventDisconnected {
					seen++
				}
			}
		})
		time.Sleep(time.Second)
		_, _ = e.Vault.Disconnect(t.Context(), e.Key("alice"))
		wg.Wait()
		if seen != 1 {
			t.Errorf("a watcher of status DISCONNECTED saw %d disconnects, want 1", seen)
		}
	})
}

// roundTrip answers requests.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// shops is a vault with a provider each of whose customers has a host.
func shops(t *testing.T, rt roundTrip) *vault.Vault {
	t.Helper()
	ctx := t.Context()
	p, err := provider.New(provider.Config{
		Name: "shops", ClientID: "id", ClientSecret: secret.New("s"), RedirectURL: "http://127.0.0.1/cb", Transport: rt,
		Definition: provider.Definition{
			AuthorizeURL: "https://{shop}.example.com/a", TokenURL: "https://{shop}.example.com/t", ClientAuth: provider.ClientAuthPost, Grants: []provider.Grant{provider.GrantClientCredentials},
			Variables: map[string]provider.Variable{"shop": {Pattern: "^[a-z0-9]+$"}},
			APIKey:    &provider.APIKey{},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	db, err := boltstore.OpenOrCreate(filepath.Join(t.TempDir(), "v.db"), vault.WatchedKinds()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	master, _ := keyring.ParseMasterKey(keyring.GenerateMasterKey())
	keys, err := vault.OpenKeyring(ctx, db, master)
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.New(ctx, vault.Config{Store: db, Keyring: keys, Providers: []*provider.Provider{p}, PublicURL: "http://127.0.0.1", Binding: vault.BindingLink})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAHostThatIsDownClosesNoOther(t *testing.T) {
	for name, dead := range map[string]struct {
		status int
		body   string
	}{"gone": {404, "no such shop"}, "its client was removed there": {401, `{"error":"invalid_client"}`}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gone := false
				n := 0
				v := shops(t, func(r *http.Request) (*http.Response, error) {
					n++
					status, body := 200, fmt.Sprintf(`{"access_token":"t%d","expires_in":600}`, n)
					if gone && r.URL.Host == "dead.example.com" {
						status, body = dead.status, dead.body
					}
					return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
				})
				key := func(s string) vault.Key { return vault.Key{Tenant: "default", Subject: s, Provider: "shops"} }
				for _, s := range []string{"dead", "good"} {
					if _, err := v.Connect(t.Context(), vault.ConnectRequest{Key: key(s), Grant: vault.ClientCredentials, Params: map[string]string{"shop": s}}); err != nil {
						t.Fatal(err)
					}
				}
				gone = true
				time.Sleep(10 * time.Minute)
				for range 6 {
					_, _ = v.GetCredentials(t.Context(), vault.CredentialsRequest{Key: key("dead")})
					time.Sleep(20 * time.Minute) // however slowly
				}
				_, _ = v.GetCredentials(t.Context(), vault.CredentialsRequest{Key: key("dead")})
				if _, err := v.GetCredentials(t.Context(), vault.CredentialsRequest{Key: key("good")}); err != nil {
					t.Errorf("another shop, at another host: %v", err)
				}
			})
		})
	}
}

func TestAKeyDoesNotInheritTheLastUseOfTheOneBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := shops(t, nil)
		key := vault.Key{Tenant: "default", Subject: "a", Provider: "shops"}
		params := map[string]string{"shop": "x"}
		if _, err := v.SetAPIKey(t.Context(), key, secret.New("k1"), params); err != nil {
			t.Fatal(err)
		}
		if _, err := v.GetCredentials(t.Context(), vault.CredentialsRequest{Key: key}); err != nil {
			t.Fatal(err)
		}
		if _, err := v.DeleteAPIKey(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		c, err := v.SetAPIKey(t.Context(), key, secret.New("k2"), params)
		if err != nil {
			t.Fatal(err)
		}
		if !c.LastUsedTime.IsZero() {
			t.Errorf("the new key was last used at %v, before it was there", c.LastUsedTime)
		}
	})
}

func TestShortLivedTokensDoNotKeepTheProviderBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{Sandbox: func(s *sandbox.Config) { s.TokenLifetime = time.Second }})
		e.MustConnect("alice")
		n := e.Sandbox.Requests(sandbox.Token)
		time.Sleep(time.Minute)
		if n = e.Sandbox.Requests(sandbox.Token) - n; n > 3 {
			t.Errorf("%d requests in a minute with nobody asking, want a few", n)
		}
	})
}

func TestAListTellsThatAProviderDoesNotAcceptTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{Quiet: true})
		problem := func() string { return e.Vault.ListProviders(nil)[0].Problem }
		if _, err := e.Vault.RotateClientSecret(t.Context(), "acme", secret.New("wrong"), 0); err != nil {
			t.Fatal(err)
		}
		if err := e.Connect("alice", vaulttest.Ada); vault.ReasonOf(err) != vault.ProviderMisconfigured {
			t.Errorf("Connect: %v", err)
		}
		if !strings.Contains(problem(), "does not accept this vault as its client") {
			t.Errorf("problem = %q", problem())
		}
		if _, err := e.Vault.RotateClientSecret(t.Context(), "acme", secret.New(e.Seat.ClientSecret), 0); err != nil {
			t.Fatal(err)
		}
		e.MustConnect("alice")
		if problem() != "" {
			t.Errorf("problem = %q when the secret is right again", problem())
		}
	})
}
