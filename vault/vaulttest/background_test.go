package vaulttest_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/sandbox"
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

func TestAnOutageOfADayMarksNothingAndEndsWithoutASpike(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const connections = 1000
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
		e.MustConnect(subjects(connections)...)
		time.Sleep(10 * time.Minute)
		began := e.Sandbox.Requests(sandbox.Token)
		e.Sandbox.Fault(sandbox.Token, sandbox.Fault{Status: 503})
		time.Sleep(24 * time.Hour)
		during := e.Sandbox.Requests(sandbox.Token) - began
		// A look every five minutes, after the first that failed.
		if during > 24*60/4 {
			t.Errorf("%d requests during the outage, want one every few minutes", during)
		}
		for i := range connections {
			if conn := e.Connection(fmt.Sprint("subject-", i)); conn.Status != vault.Connected {
				t.Fatalf("after the outage subject-%d has status %v: %s", i, conn.Status, conn.Problem)
			}
		}

		e.Sandbox.ClearFaults()
		recovered, most := watchRecovery(e, connections)
		t.Logf("%d requests during the outage; after it, all recovered within %v, at most %d requests in a second", during, recovered, most)
		if most > 110 {
			t.Errorf("%d requests in one second after the outage, want no more than the pace of 100", most)
		}
		for i := range connections {
			if _, err := e.Credentials(fmt.Sprint("subject-", i)); err != nil {
				t.Fatalf("after the outage, subject-%d: %v", i, err)
			}
		}
	})
}

// subjects returns the names of so many subjects.
func subjects(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint("subject-", i)
	}
	return names
}

// watchRecovery returns how long it takes until all tokens work again, and how
// many requests the token endpoint had in the busiest second.
func watchRecovery(e *vaulttest.Engine, connections int) (took time.Duration, most int) {
	began, last := time.Now(), e.Sandbox.Requests(sandbox.Token)
	for time.Since(began) < time.Hour {
		time.Sleep(time.Second)
		n := e.Sandbox.Requests(sandbox.Token)
		most = max(most, n-last)
		last = n
		working := 0
		for i := range connections {
			if time.Until(e.Connection(fmt.Sprint("subject-", i)).ExpireTime) > 0 {
				working++
			}
		}
		if working == connections {
			break
		}
	}
	return time.Since(began), most
}
