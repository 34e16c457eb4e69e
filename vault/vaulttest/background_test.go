package vaulttest_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/store"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

func TestTokensAreRefreshedAheadOfTheirEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
		e.MustConnect("alice")
		for hour := range 5 {
			time.Sleep(time.Hour)
			conn := e.Connection("alice")
			if left := time.Until(conn.ExpireTime); left < 9*time.Minute {
				t.Errorf("after %d hours the token has %v left", hour+1, left)
			}
		}
		if n := e.Connection("alice").Generation; n < 6 || n > 8 {
			t.Errorf("generation = %d after five hours of hourly tokens, want about 7", n)
		}
	})
}

// backgroundWorkers is how much the background does for one provider at once.
const backgroundWorkers = 16

func TestAnOutageOfADayMarksNothingAndEndsWithoutASpike(t *testing.T) {
	for _, row := range []struct {
		name  string
		fault sandbox.Fault
		slow  time.Duration // how long each answer takes afterwards
	}{
		{"the provider says so", sandbox.Fault{Status: 503}, 0},
		{"the provider says so, and is slow afterwards", sandbox.Fault{Status: 503}, time.Second},
		{"a proxy says so", sandbox.Fault{Status: 502, Body: "<html>Bad gateway</html>", ContentType: "text/html"}, time.Second},
		{"no answers", sandbox.Fault{Drop: true}, time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
				// Of a few, each would be asked so often during the outage that
				// its own pause would be as long as an hour by its end.
				connected := subjects(200)
				for _, subject := range connected { // one by one, for the peak below
					e.MustConnect(subject)
				}
				time.Sleep(10 * time.Minute)
				began := e.Sandbox.Requests(sandbox.Token)
				e.Sandbox.Fault(sandbox.Token, row.fault)
				time.Sleep(24 * time.Hour)
				during := e.Sandbox.Requests(sandbox.Token) - began
				// A look every five minutes, after the first that failed.
				if during > 24*60/4 {
					t.Errorf("%d requests during the outage, want one every few minutes", during)
				}
				for _, subject := range connected {
					if conn := e.Connection(subject); conn.Status != vault.Connected {
						t.Fatalf("after the outage %s has status %v: %s", subject, conn.Status, conn.Problem)
					}
				}

				e.Sandbox.Fault(sandbox.Token, sandbox.Fault{Delay: row.slow})
				took, most := watchRecovery(t, e, connected)
				t.Logf("%d requests during the outage; after it, all recovered within %v, at most %d requests in a second and %d at once", during, took, most, e.Sandbox.PeakConcurrency(sandbox.Token))
				if most > 110 {
					t.Errorf("%d requests in one second after the outage, want no more than the pace of 100", most)
				}
				if n := e.Sandbox.PeakConcurrency(sandbox.Token); n > backgroundWorkers {
					t.Errorf("%d requests at once, want no more than the %d of the background", n, backgroundWorkers)
				}
				wantServed(t, e, connected)
			})
		})
	}
}

// subjects returns the names of so many subjects.
func subjects(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint("subject-", i)
	}
	return names
}

// watchRecovery returns how long it takes until all tokens work again with nobody
// asking for any, and how many requests the token endpoint had in the busiest
// second.
func watchRecovery(t *testing.T, e *vaulttest.Engine, connected []string) (took time.Duration, most int) {
	t.Helper()
	// The last look at whether the provider is up may have been a moment before it
	// was, and the next is five minutes later, and a tenth; then all have their
	// turn.
	const longest = 6 * time.Minute
	began, last := time.Now(), e.Sandbox.Requests(sandbox.Token)
	for time.Since(began) < longest {
		time.Sleep(time.Second)
		n := e.Sandbox.Requests(sandbox.Token)
		most = max(most, n-last)
		last = n
		if !slices.ContainsFunc(connected, func(subject string) bool { return time.Until(e.Connection(subject).ExpireTime) <= 0 }) {
			return time.Since(began), most
		}
	}
	t.Fatalf("after %v the background has not recovered all tokens", longest)
	return 0, 0
}

// wantServed wants all to be served what is there, without a request.
func wantServed(t *testing.T, e *vaulttest.Engine, connected []string) {
	t.Helper()
	before := e.Sandbox.Requests(sandbox.Token)
	for _, subject := range connected {
		if _, err := e.Credentials(subject); err != nil {
			t.Fatalf("%s: %v", subject, err)
		}
	}
	if n := e.Sandbox.Requests(sandbox.Token) - before; n != 0 {
		t.Errorf("%d token requests for callers, want none: the background has done the work", n)
	}
}

func TestFewConnectionsTooRecoverSoonAfterAnOutage(t *testing.T) {
	for _, connections := range []int{1, 5, 20} {
		t.Run(fmt.Sprint(connections), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
				names := subjects(connections)
				e.MustConnect(names...)
				e.Sandbox.Fault(sandbox.Token, sandbox.Fault{Status: 503})
				time.Sleep(24 * time.Hour)
				e.Sandbox.ClearFaults()
				time.Sleep(12 * time.Minute)
				for _, name := range names {
					if conn := e.Connection(name); time.Until(conn.ExpireTime) <= 0 {
						t.Errorf("%s has no token that works, twelve minutes after the outage", name)
					}
				}
			})
		})
	}
}

func TestARevocationThatFailsIsTriedAgainAcrossRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
		e.MustConnect("alice")
		e.Sandbox.Fault(sandbox.Revoke, sandbox.Fault{Status: 503})
		result, err := e.Vault.Disconnect(t.Context(), e.Key("alice"))
		if err != nil || result.Revocation != vault.RevocationFailed || result.NextStep == "" {
			t.Errorf("Disconnect = %+v, %v; want that it failed, and what is left to do", result, err)
		}
		for range 3 {
			time.Sleep(2 * time.Minute)
			e.Restart()
		}
		if n := e.Sandbox.LiveFamilies(); n != 1 {
			t.Fatalf("%d grants live at the provider, want the one that it does not revoke", n)
		}
		e.Sandbox.ClearFaults()
		time.Sleep(time.Hour)
		if n := e.Sandbox.LiveFamilies(); n != 0 {
			t.Errorf("%d grants still live at the provider", n)
		}
		page, err := e.Store.List(t.Context(), store.Key{Kind: "revocations"}, "", 1)
		if err != nil || len(page.Records) != 0 {
			t.Errorf("%d revocations are still to be confirmed, %v", len(page.Records), err)
		}
	})
}

func TestARevocationIsGivenUpAfterAWeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
		e.MustConnect("alice")
		e.Sandbox.Fault(sandbox.Revoke, sandbox.Fault{Status: 400})
		if _, err := e.Vault.Disconnect(t.Context(), e.Key("alice")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(8 * 24 * time.Hour)
		page, err := e.Store.List(t.Context(), store.Key{Kind: "revocations"}, "", 1)
		if err != nil || len(page.Records) != 0 {
			t.Errorf("%d revocations are still tried, %v: their tokens must not lie here for ever", len(page.Records), err)
		}
		if n := e.Sandbox.Requests(sandbox.Revoke); n > 400 {
			t.Errorf("%d requests in a week", n)
		}
	})
}

func TestARefreshTokenThatMustNotIdleIsKeptAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{
			Refresh: provider.Refresh{IdleLimit: 9 * time.Hour},
			Sandbox: func(c *sandbox.Config) {
				c.RefreshTokenIdle = 9 * time.Hour
				c.Quirks = []sandbox.Quirk{sandbox.ExpiresInMissing} // nothing else calls for a refresh
			},
		})
		e.MustConnect("alice")
		time.Sleep(40 * time.Hour)
		conn := e.Connection("alice")
		if conn.Generation < 5 || conn.Generation > 7 {
			t.Errorf("generation = %d after 40 hours with a limit of 9, want about 6", conn.Generation)
		}
		if _, err := e.Vault.RefreshConnection(t.Context(), e.Key("alice")); err != nil {
			t.Errorf("the refresh token is dead: %v", err)
		}
	})
}

func TestTheDefinitionTellsTheLifeOfTokensWhereTheProviderDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{
			Refresh: provider.Refresh{Lifetime: time.Hour},
			Sandbox: func(c *sandbox.Config) { c.Quirks = []sandbox.Quirk{sandbox.ExpiresInMissing} },
		})
		e.MustConnect("alice")
		for range 5 {
			time.Sleep(time.Hour)
			creds, err := e.Credentials("alice")
			if err != nil || !e.Sandbox.Valid(creds.AccessToken.Reveal()) {
				t.Fatalf("the token does not work: %v", err)
			}
		}
	})
}

func TestRetryAfterHoldsBackgroundAndCallersOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
		e.MustConnect("alice")
		e.Sandbox.Fault(sandbox.Token, sandbox.Fault{Status: 429, RetryAfter: 2 * time.Hour, Times: 1})
		before := e.Sandbox.Requests(sandbox.Token)
		time.Sleep(time.Hour) // the attempt ahead of the end, at 80 % of it
		for range 100 {
			time.Sleep(time.Minute / 2)
			var told *vault.Error
			if _, err := e.Credentials("alice"); !errors.As(err, &told) || told.Reason != vault.ProviderUnavailable || told.RetryAfter <= 0 {
				t.Fatalf("got %v, want that the provider has asked for a pause, and for how long", err)
			}
		}
		if n := e.Sandbox.Requests(sandbox.Token) - before; n != 1 {
			t.Errorf("%d requests, want none before the pause is over", n)
		}
		time.Sleep(2 * time.Hour)
		if _, err := e.Credentials("alice"); err != nil {
			t.Errorf("after the pause: %v", err)
		}
	})
}

func TestATokenThatEndsWithoutARefreshTokenIsMarkedWhenItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{
			Sandbox: func(c *sandbox.Config) { c.Quirks = []sandbox.Quirk{sandbox.RefreshTokenFirstConsentOnly} },
		})
		// The second consent of the same person brings no refresh token.
		e.MustConnect("alice")
		e.MustConnect("bob")
		if conn := e.Connection("bob"); conn.Status != vault.ExpiringSoon {
			t.Errorf("status = %v, want that it will stop working", conn.Status)
		}
		time.Sleep(61 * time.Minute)
		if conn := e.Connection("bob"); conn.Status != vault.NeedsReauthorization || conn.Problem == "" {
			t.Errorf("status = %v, problem %q; want that the person is needed, and why", conn.Status, conn.Problem)
		}
		if _, err := e.Credentials("bob"); vault.ReasonOf(err) != vault.ReauthorizationRequired {
			t.Errorf("GetCredentials: %v", err)
		}
	})
}
