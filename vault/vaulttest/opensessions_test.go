package vaulttest_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/store"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// maxOpenSessions is how many sessions of a subject can be open.
const maxOpenSessions = 20

// beginMany begins n flows of a subject, and returns their sessions.
func beginMany(t *testing.T, e *vaulttest.Engine, subject string, n int) []string {
	t.Helper()
	var sessions []string
	for range n {
		begun, err := e.Vault.Connect(t.Context(), vault.ConnectRequest{Key: e.Key(subject)})
		if err != nil {
			t.Fatal(err)
		}
		sessions = append(sessions, begun.Session)
	}
	return sessions
}

// openLink opens a session's link, and nothing more.
func openLink(t *testing.T, e *vaulttest.Engine, session string) error {
	t.Helper()
	_, err := e.Vault.Authorize(t.Context(), vault.AuthorizeRequest{Provider: "acme", Session: session})
	return err
}

// stored counts records of a kind.
func stored(t *testing.T, e *vaulttest.Engine, kind store.Kind) int {
	t.Helper()
	page, err := e.Store.List(t.Context(), store.Key{Kind: kind}, "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	return len(page.Records)
}

func TestTheOldestLinkThatNobodyHasOpenedMakesRoom(t *testing.T) {
	e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
	bobs := beginMany(t, e, "bob", 1)
	opened := beginMany(t, e, "alice", 1)[0]
	if err := openLink(t, e, opened); err != nil {
		t.Fatal(err)
	}
	sessions := beginMany(t, e, "alice", 10*maxOpenSessions)
	if n := stored(t, e, "sessions"); n != maxOpenSessions+1 {
		t.Errorf("%d sessions are stored, want %d of alice's and one of bob's", n, maxOpenSessions)
	}
	last := len(sessions) - (maxOpenSessions - 1)
	for i, session := range sessions {
		err := openLink(t, e, session)
		if i < last && vault.ReasonOf(err) != vault.SessionExpired || i >= last && err != nil {
			t.Errorf("link %d of %d: %v", i, len(sessions), err)
		}
	}
	for _, session := range []string{opened, bobs[0]} {
		if err := e.Approve(session, vaulttest.Ada); err != nil {
			t.Errorf("one that was opened, or of another subject: %v", err)
		}
	}
}

func TestWhereAllLinksHaveBeenOpenedTheOldestMakesRoom(t *testing.T) {
	e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
	sessions := beginMany(t, e, "alice", maxOpenSessions)
	for _, session := range sessions {
		if err := openLink(t, e, session); err != nil {
			t.Fatal(err)
		}
	}
	newest := beginMany(t, e, "alice", 1)[0]
	if err := openLink(t, e, sessions[0]); vault.ReasonOf(err) != vault.SessionExpired {
		t.Errorf("the oldest: %v, want that it has expired", err)
	}
	for _, session := range []string{sessions[1], newest} {
		if err := openLink(t, e, session); err != nil {
			t.Errorf("the others: %v", err)
		}
	}
}

// hurried is a store that lets something happen before the first commit that deletes a
// session.
type hurried struct {
	store.Store
	once sync.Once
	do   func()
}

func (h *hurried) Commit(ctx context.Context, ops ...store.Op) (store.Revision, error) {
	if slices.ContainsFunc(ops, func(op store.Op) bool { return op.Key.Kind == "sessions" && op.IsDelete() }) {
		h.once.Do(h.do)
	}
	return h.Store.Commit(ctx, ops...)
}

func TestALinkThatIsOpenedAtTheLastMomentStays(t *testing.T) {
	db := &hurried{}
	e := vaulttest.NewEngine(t, vaulttest.EngineConfig{WrapStore: func(s store.Store) store.Store {
		db.Store = s
		return db
	}})
	sessions := beginMany(t, e, "alice", maxOpenSessions)
	db.do = func() {
		if err := openLink(t, e, sessions[0]); err != nil {
			t.Error(err)
		}
	}
	beginMany(t, e, "alice", 1)
	if err := e.Approve(sessions[0], vaulttest.Ada); err != nil {
		t.Errorf("the one that was opened: %v", err)
	}
	if err := openLink(t, e, sessions[1]); vault.ReasonOf(err) != vault.SessionExpired {
		t.Errorf("the one after it: %v, want that it has expired", err)
	}
}

func TestSessionsThatAreOverCountNoMore(t *testing.T) {
	e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
	waiting := beginMany(t, e, "alice", 1)[0]
	for range maxOpenSessions + 5 {
		e.MustConnect("alice")
	}
	if err := openLink(t, e, waiting); err != nil {
		t.Errorf("a link older than many that were used: %v", err)
	}
}

func TestFlowsBegunAtOnceAllBegin(t *testing.T) {
	e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
	var flows sync.WaitGroup
	for range 100 {
		flows.Go(func() {
			for range 3 {
				if _, err := e.Vault.Connect(t.Context(), vault.ConnectRequest{Key: e.Key("alice")}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	flows.Wait()
	if n := stored(t, e, "sessions"); n != maxOpenSessions {
		t.Errorf("%d sessions are stored, want %d", n, maxOpenSessions)
	}
}

func TestDeviceFlowsAreCountedToo(t *testing.T) {
	e := vaulttest.NewEngine(t, vaulttest.EngineConfig{Quiet: true})
	for range maxOpenSessions + 5 {
		if _, err := e.Vault.Connect(t.Context(), vault.ConnectRequest{Key: e.Key("alice"), Grant: vault.DeviceCode}); err != nil {
			t.Fatal(err)
		}
	}
	if n := stored(t, e, "sessions"); n != maxOpenSessions {
		t.Errorf("%d sessions are stored, want %d", n, maxOpenSessions)
	}
}

func TestTheOldestLinkToThePortalMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
		link := func(subject string) vault.OpenPortalRequest {
			l, err := e.Vault.CreatePortalLink(t.Context(), vault.PortalLinkRequest{Subject: subject, Scope: vault.PortalScope{Tenant: vault.DefaultTenant}})
			if err != nil {
				t.Fatal(err)
			}
			_, text, _ := strings.Cut(l.URL.Reveal(), "link=")
			return vault.OpenPortalRequest{Link: secret.New(text)}
		}
		links := []vault.OpenPortalRequest{link("bob")}
		for range 3 * maxOpenSessions {
			links = append(links, link("alice"))
		}
		if n := stored(t, e, "portal-links"); n != maxOpenSessions+1 {
			t.Errorf("%d links are stored, want %d of alice's and one of bob's", n, maxOpenSessions)
		}
		for i, l := range links {
			_, err := e.Vault.OpenPortal(t.Context(), l)
			if isOpen := i == 0 || i >= len(links)-maxOpenSessions; isOpen != (err == nil) || !isOpen && vault.ReasonOf(err) != vault.SessionExpired {
				t.Errorf("link %d of %d: %v", i, len(links), err)
			}
		}
		time.Sleep(2 * vault.PortalLinkLifetime)
		synctest.Wait()
		for _, kind := range []store.Kind{"portal-links", "open-portal-links"} {
			if n := stored(t, e, kind); n != 0 {
				t.Errorf("%d records of %s are left", n, kind)
			}
		}
	})
}

func TestNothingIsLeftOfSessionsThatHaveEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
		beginMany(t, e, "alice", maxOpenSessions+1)
		time.Sleep(vault.SessionLifetime / 2)
		later := beginMany(t, e, "alice", 1)[0]
		time.Sleep(vault.SessionLifetime * 9 / 10)
		synctest.Wait()
		if sessions, open := stored(t, e, "sessions"), stored(t, e, "open-sessions"); sessions != 1 || open != 1 {
			t.Errorf("%d sessions and %d subjects are stored while one session is open, want 1 and 1", sessions, open)
		}
		if err := openLink(t, e, later); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * vault.SessionLifetime)
		synctest.Wait()
		for _, kind := range []store.Kind{"sessions", "open-sessions", "flows"} {
			if n := stored(t, e, kind); n != 0 {
				t.Errorf("%d records of %s are left", n, kind)
			}
		}
	})
}
