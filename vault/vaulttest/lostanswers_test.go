package vaulttest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// lostAnswer is a connection whose refresh, ahead of its token's end, has just
// gone wrong.
type lostAnswer struct {
	t *testing.T
	e *vaulttest.Engine
	// at is when the refresh token was used.
	at time.Time
	// asked is how many token requests there were up to then.
	asked int
	// before is what callers had.
	before vault.Credentials
}

// loseAnswers has the next so many answers to a refresh be lost, and waits for
// the first.
func loseAnswers(t *testing.T, grace time.Duration, fault sandbox.Fault) *lostAnswer {
	t.Helper()
	e := vaulttest.NewEngine(t, vaulttest.EngineConfig{
		Refresh: provider.Refresh{Grace: grace},
		Sandbox: func(s *sandbox.Config) { s.ReuseGrace = grace },
	})
	e.MustConnect("alice")
	l := &lostAnswer{t: t, e: e, asked: e.Sandbox.Requests(sandbox.Token)}
	l.before = l.credentials()
	e.Sandbox.Fault(sandbox.Token, fault)
	for e.Sandbox.Requests(sandbox.Token) == l.asked {
		time.Sleep(time.Second)
		if time.Until(l.before.ExpireTime) <= 0 {
			t.Fatal("the token was not refreshed ahead of its end")
		}
	}
	synctest.Wait()
	l.at = e.Sandbox.RequestTimes(sandbox.Token)[l.asked]
	l.asked++
	return l
}

func (l *lostAnswer) credentials() vault.Credentials {
	l.t.Helper()
	creds, err := l.e.Credentials("alice")
	if err != nil {
		l.t.Fatalf("GetCredentials: %v", err)
	}
	if !l.e.Sandbox.Valid(creds.AccessToken.Reveal()) {
		l.t.Error("the access token does not work")
	}
	return creds
}

// wantAsked wants so many token requests since the answer was lost.
func (l *lostAnswer) wantAsked(n int) {
	l.t.Helper()
	if got := l.e.Sandbox.Requests(sandbox.Token) - l.asked; got != n {
		l.t.Errorf("%d token requests since the answer was lost, want %d", got, n)
	}
}

func (l *lostAnswer) wantRevoked(n int) {
	l.t.Helper()
	if got := l.e.Sandbox.RevokedFamilies(); got != n {
		l.t.Errorf("%d grants were revoked for reuse of a refresh token, want %d", got, n)
	}
}

// wantRecovered wants a connection of that generation with nothing wrong about it.
func (l *lostAnswer) wantRecovered(generation int64) {
	l.t.Helper()
	l.wantRevoked(0)
	if conn := l.e.Connection("alice"); conn.Status != vault.Connected || conn.Generation != generation || conn.Problem != "" {
		l.t.Errorf("status = %v, generation = %d, problem = %q; want connected, %d and none", conn.Status, conn.Generation, conn.Problem, generation)
	}
	l.credentials()
	if _, err := l.e.Vault.RefreshConnection(l.t.Context(), l.e.Key("alice")); err != nil {
		l.t.Errorf("the refresh token that is stored does not work: %v", err)
	}
	l.wantRevoked(0)
}

// loss is a way in which an answer gets lost.
type loss struct {
	name    string
	fault   sandbox.Fault
	rotated bool // the request was carried out
	half    bool // the access token came, and is better than the one before
}

func losses() []loss {
	return []loss{
		{"carried out, no answer", sandbox.Fault{DropAfter: true}, true, false},
		{"carried out, half an answer", sandbox.Fault{Quirks: []sandbox.Quirk{sandbox.TruncatedEarly}}, true, true},
		{"carried out, a proxy answers", sandbox.Fault{Status: 502, Body: "<html>", ContentType: "text/html", Processed: true}, true, false},
		{"carried out, nobody waits any more", sandbox.Fault{After: func(*http.Request) { time.Sleep(time.Minute) }}, true, false},
		{"not carried out, no answer", sandbox.Fault{Drop: true}, false, false},
		{"not carried out, a proxy answers", sandbox.Fault{Status: 504}, false, false},
	}
}

func TestALostAnswerIsAskedForAgainWithinTheGrace(t *testing.T) {
	for _, grace := range []time.Duration{30 * time.Second, 10 * time.Minute} {
		for _, loss := range losses() {
			for times := 1; times <= 3; times++ {
				if loss.fault.After != nil && (times > 1 || grace < time.Minute) {
					continue // waiting for them takes longer than the grace
				}
				t.Run(fmt.Sprintf("grace %v/%s/%d in a row", grace, loss.name, times), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						loss.fault.Times = times
						l := loseAnswers(t, grace, loss.fault)
						time.Sleep(time.Until(l.at.Add(grace)))
						l.wantAsked(times)
						generation := int64(2)
						if loss.half {
							generation += int64(times)
						}
						l.wantRecovered(generation)
					})
				})
			}
		}
	}
}

func TestWithoutAGraceARefreshTokenIsNotUsedAgainWhileItsAccessTokenWorks(t *testing.T) {
	for _, loss := range losses() {
		for _, restart := range []bool{false, true} {
			name := loss.name + "/the process goes on"
			if restart {
				name = loss.name + "/the process is started anew"
			}
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					loss.fault.Times = 1
					l := loseAnswers(t, 0, loss.fault)
					l.before = l.credentials()
					l.wantServed(restart)
					time.Sleep(time.Minute)
					l.wantAsked(1)
					if loss.rotated {
						l.wantGivenUp()
					} else {
						l.wantRecovered(2)
					}
				})
			})
		}
	}
}

func TestAnAnswerThatStaysLostIsNotAskedForWhenTheGraceIsOver(t *testing.T) {
	for _, loss := range losses() {
		t.Run(loss.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const grace = 2 * time.Minute
				l := loseAnswers(t, grace, loss.fault)
				time.Sleep(time.Until(l.at.Add(grace)))
				l.e.Sandbox.ClearFaults()
				l.asked = l.e.Sandbox.Requests(sandbox.Token)
				l.before = l.credentials()
				l.wantServed(false)
				time.Sleep(time.Minute)
				l.wantAsked(1)
				if loss.rotated {
					l.wantGivenUp()
				} else {
					l.wantRecovered(2)
				}
			})
		})
	}
}

// wantServed wants callers to get the old token until it ends, whatever they ask
// for, and the refresh token not to be used meanwhile.
func (l *lostAnswer) wantServed(restart bool) {
	l.t.Helper()
	ctx, key := l.t.Context(), l.e.Key("alice")
	time.Sleep(2 * time.Minute)
	l.asked = l.e.Sandbox.Requests(sandbox.Token)
	if restart {
		l.e.Restart()
	}
	for time.Until(l.before.ExpireTime) > 25*time.Second { // from 10 s before the end on, there is nothing to lose
		if creds := l.credentials(); creds.AccessToken.Reveal() != l.before.AccessToken.Reveal() {
			l.t.Fatal("another token than the one at hand")
		}
		creds, err := l.e.Vault.GetCredentials(ctx, vault.CredentialsRequest{Key: key, MinTTL: 50 * time.Minute})
		if err != nil || creds.AccessToken.Reveal() != l.before.AccessToken.Reveal() {
			l.t.Fatalf("one who asks for more life than there is: %v, want the token at hand", err)
		}
		if _, err := l.e.Vault.RefreshConnection(ctx, key); vault.ReasonOf(err) != vault.ProviderUnavailable {
			l.t.Fatalf("RefreshConnection: %v, want that it cannot be done now", err)
		}
		if conn := l.e.Connection("alice"); conn.Status != vault.Connected || conn.Problem == "" {
			l.t.Fatalf("status = %v, problem = %q; want connected, and that something is wrong", conn.Status, conn.Problem)
		}
		time.Sleep(10 * time.Second)
	}
	l.wantAsked(0)
	l.wantRevoked(0)
	time.Sleep(time.Until(l.before.ExpireTime))
}

// wantGivenUp wants the connection to say which answer was lost.
func (l *lostAnswer) wantGivenUp() {
	l.t.Helper()
	conn := l.e.Connection("alice")
	want := "its answer to a refresh at " + l.at.UTC().Format(time.RFC3339) + " was lost"
	if conn.Status != vault.NeedsReauthorization || !strings.Contains(conn.Problem, want) {
		l.t.Errorf("status = %v, problem = %q; want that reauthorization is required since %s", conn.Status, conn.Problem, want)
	}
	if _, err := l.e.Credentials("alice"); vault.ReasonOf(err) != vault.ReauthorizationRequired {
		l.t.Errorf("GetCredentials: %v, want that reauthorization is required", err)
	}
	l.e.MustConnect("alice")
	l.credentials()
}
