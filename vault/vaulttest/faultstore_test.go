package vaulttest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/store"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// fullDisk is a store whose commits can be made to fail.
type fullDisk struct {
	store.Store
	mu sync.Mutex
	// spare is how many commits of connections still succeed. Negative: all do.
	spare int
	// after has the failing commits reach the disk all the same.
	after    bool
	attempts int
}

var errDiskFull = errors.New("no space left on device")

func (d *fullDisk) fail(spare int, after bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.spare, d.after, d.attempts = spare, after, 0
}

func (d *fullDisk) Commit(ctx context.Context, ops ...store.Op) (store.Revision, error) {
	d.mu.Lock()
	failing, after := false, d.after
	for _, op := range ops {
		if op.Key.Kind != "connections" || d.spare < 0 {
			continue
		}
		if failing = d.spare == 0; failing {
			d.attempts++
		} else {
			d.spare--
		}
	}
	d.mu.Unlock()
	if !failing {
		return d.Store.Commit(ctx, ops...)
	}
	if after {
		_, _ = d.Store.Commit(ctx, ops...)
	}
	return 0, errDiskFull
}

func TestAStoreThatFailsRightAfterARotationLosesNoTokens(t *testing.T) {
	for _, row := range []struct {
		name  string
		after bool // the commit that fails is on disk all the same
	}{{"not written", false}, {"written, but not known to be", true}} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := &fullDisk{spare: -1}
				e := vaulttest.NewEngine(t, vaulttest.EngineConfig{
					Quiet:     true,
					WrapStore: func(s store.Store) store.Store { disk.Store = s; return disk },
				})
				e.MustConnect("alice")
				time.Sleep(time.Hour)
				asked := e.Sandbox.Requests(sandbox.Token)

				disk.fail(1, row.after) // the intent is stored, what comes after is not
				creds, err := e.Credentials("alice")
				if row.after {
					if err != nil || !e.Sandbox.Valid(creds.AccessToken.Reveal()) {
						t.Errorf("credentials that are on disk were not handed out: %v", err)
					}
				} else if err == nil {
					t.Error("credentials were handed out that are not stored")
				}
				if bound := 10; disk.attempts < 1 || disk.attempts > bound {
					t.Errorf("%d attempts to store the tokens, want 1 to %d", disk.attempts, bound)
				}
				for range 3 {
					_, _ = e.Credentials("alice")
				}

				disk.fail(-1, false)
				creds, err = e.Credentials("alice")
				if err != nil {
					t.Fatalf("when the disk has space again: %v", err)
				}
				if !e.Sandbox.Valid(creds.AccessToken.Reveal()) {
					t.Error("the token does not work")
				}
				if n := e.Sandbox.Requests(sandbox.Token) - asked; n != 1 {
					t.Errorf("%d token requests, want 1: the old refresh token must not be used again", n)
				}
				if conn := e.Connection("alice"); conn.Status != vault.Connected || conn.Generation != 2 {
					t.Errorf("the connection has status %v and generation %d, want connected and 2", conn.Status, conn.Generation)
				}
			})
		})
	}
}

func TestTokensThatCouldNotBeStoredAreStoredByTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &fullDisk{spare: -1}
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{WrapStore: func(s store.Store) store.Store { disk.Store = s; return disk }})
		e.MustConnect("alice")
		asked := e.Sandbox.Requests(sandbox.Token)
		disk.fail(1, false)
		time.Sleep(55 * time.Minute)
		disk.fail(-1, false)
		time.Sleep(2 * time.Minute)
		if conn := e.Connection("alice"); conn.Generation != 2 {
			t.Errorf("generation = %d, want 2", conn.Generation)
		}
		if n := e.Sandbox.Requests(sandbox.Token) - asked; n != 1 {
			t.Errorf("%d token requests, want 1", n)
		}
	})
}

func TestTokensThatCouldNotBeStoredAreRevokedWithTheirConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &fullDisk{spare: -1}
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{Quiet: true, WrapStore: func(s store.Store) store.Store { disk.Store = s; return disk }})
		e.MustConnect("alice")
		time.Sleep(time.Hour)
		disk.fail(1, false)
		if _, err := e.Credentials("alice"); err == nil {
			t.Fatal("credentials were handed out that are not stored")
		}
		disk.fail(-1, false)
		result, err := e.Vault.Disconnect(t.Context(), e.Key("alice"))
		if err != nil || result.Revocation != vault.Revoked {
			t.Errorf("Disconnect = %v, %v", result, err)
		}
		if n := e.Sandbox.Requests(sandbox.Revoke); n < 4 {
			t.Errorf("%d revocation requests, want the old two tokens' and the new two's", n)
		}
	})
}
