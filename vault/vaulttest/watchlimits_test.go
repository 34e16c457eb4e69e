package vaulttest_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/store"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// here returns the resume token of a checkpoint now.
func here(t *testing.T, e *vaulttest.Engine, r vault.WatchRequest) string {
	t.Helper()
	r.Tenant, r.ResumeToken = vault.DefaultTenant, ""
	for change, err := range e.Vault.Watch(t.Context(), r) {
		if err != nil || change.Event != vault.EventCheckpoint {
			t.Fatalf("the first change is %v, %v; want a checkpoint", change.Event, err)
		}
		return change.ResumeToken
	}
	t.Fatal("a watch ended by itself")
	return ""
}

// missed returns the generations of the changes since a resume token, up to the
// checkpoint that ends them, and the error in its place.
func missed(t *testing.T, e *vaulttest.Engine, resume string) (generations []int64, err error) {
	t.Helper()
	for change, err := range e.Vault.Watch(t.Context(), vault.WatchRequest{Tenant: vault.DefaultTenant, ResumeToken: resume}) {
		if err != nil || change.Event == vault.EventCheckpoint {
			return generations, err
		}
		generations = append(generations, change.Connection.Generation)
	}
	return generations, errors.New("the watch ended by itself")
}

func refreshNow(t *testing.T, e *vaulttest.Engine, subject string, times int) {
	t.Helper()
	for range times {
		if _, err := e.Vault.RefreshConnection(t.Context(), e.Key(subject)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAWatcherThatWasAwayForTooLongListsAgain(t *testing.T) {
	for _, row := range []struct {
		name    string
		away    time.Duration
		changes int
		expired bool
	}{
		{"not long", 50 * time.Minute, 3, false},
		{"not long, and nothing has happened", 50 * time.Minute, 0, false},
		{"too long", vault.ChangeRetention, 3, true},
		{"too long, and nothing has happened", vault.ChangeRetention, 0, true},
		{"for a day", 24 * time.Hour, 3, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
				e.MustConnect("alice")
				resume := here(t, e, vault.WatchRequest{})
				refreshNow(t, e, "alice", row.changes)
				time.Sleep(row.away)
				before := e.Connection("alice").Generation // the background, too, has refreshed
				got, err := missed(t, e, resume)
				if row.expired {
					if vault.ReasonOf(err) != vault.ResumeTokenExpired || len(got) > 0 {
						t.Errorf("%d changes, %v; want RESUME_TOKEN_EXPIRED and none", len(got), err)
					}
					return
				}
				var want []int64
				for generation := int64(2); generation <= before; generation++ {
					want = append(want, generation)
				}
				if diff := cmp.Diff(want, got); err != nil || diff != "" {
					t.Errorf("%v; generations (-want +got):\n%s", err, diff)
				}
			})
		})
	}
}

func TestAWatcherThatSeesNothingForHoursIsToldWhereItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
		e.MustConnect("alice", "bob") // whose tokens the background refreshes
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Hour)
		defer cancel()
		checkpoints, resume := 0, ""
		for change, err := range e.Vault.Watch(ctx, vault.WatchRequest{Tenant: vault.DefaultTenant, Subject: "nobody"}) {
			if errors.Is(err, context.DeadlineExceeded) {
				break
			}
			if err != nil || change.Event != vault.EventCheckpoint {
				t.Fatalf("%v, %v; want nothing but checkpoints", change.Event, err)
			}
			checkpoints, resume = checkpoints+1, change.ResumeToken
		}
		if checkpoints < 25 || checkpoints > 35 {
			t.Errorf("%d checkpoints in five hours, want one every ten minutes", checkpoints)
		}
		refreshNow(t, e, "alice", 1)
		// The background may have refreshed, too, since the last of them.
		got, err := missed(t, e, resume)
		if want := e.Connection("alice").Generation; err != nil || len(got) == 0 || len(got) > 3 || got[len(got)-1] != want {
			t.Errorf("after the last of them: generations %v, %v; want few, and %d at last", got, err, want)
		}
	})
}

func TestASlowReaderIsNotLeftInTheDark(t *testing.T) {
	for _, row := range []struct {
		name    string
		slow    time.Duration // how long it takes over its first change
		expired bool
	}{
		{"slow", 40 * time.Minute, false},
		{"slower than the change log goes back", 3 * time.Hour, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
				e.MustConnect("alice")
				resume := here(t, e, vault.WatchRequest{})
				refreshNow(t, e, "alice", 1)
				var last int64
				for change, err := range e.Vault.Watch(t.Context(), vault.WatchRequest{Tenant: vault.DefaultTenant, ResumeToken: resume}) {
					if row.expired && vault.ReasonOf(err) == vault.ResumeTokenExpired {
						return
					}
					if err != nil {
						t.Fatal(err)
					}
					if change.Event == vault.EventCheckpoint {
						continue
					}
					if last != 0 && change.Connection.Generation != last+1 {
						t.Fatalf("told of generation %d after %d", change.Connection.Generation, last)
					}
					if last == 0 {
						refreshNow(t, e, "alice", 10)
						time.Sleep(row.slow)
					}
					if last = change.Connection.Generation; last == 12 {
						break
					}
				}
				if row.expired {
					t.Error("a reader that fell out of the change log was told all the same")
				}
			})
		})
	}
}

// storeHistory is a little more than how many revisions the store remembers.
const storeHistory = 10_100

// forgetHistory has the store forget what has happened in it up to now.
func forgetHistory(t *testing.T, e *vaulttest.Engine) {
	t.Helper()
	var commits sync.WaitGroup
	for i := range 101 {
		commits.Go(func() {
			for range storeHistory / 101 {
				if _, err := e.Store.Commit(t.Context(), store.Put(store.Key{Kind: "other", ID: fmt.Sprint(i)}, nil, store.Any)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	commits.Wait()
}

func TestAReaderThatTheStoresHistoryLeavesBehindCatchesUpFromTheChangeLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{Quiet: true})
		e.MustConnect("alice")
		resume := here(t, e, vault.WatchRequest{})
		refreshNow(t, e, "alice", 1)
		const slow, last = 3, 303 // the store reads 256 events at once
		want := int64(2)
		for change, err := range e.Vault.Watch(t.Context(), vault.WatchRequest{Tenant: vault.DefaultTenant, ResumeToken: resume}) {
			if err != nil {
				t.Fatal(err)
			}
			if change.Event == vault.EventCheckpoint {
				refreshNow(t, e, "alice", 1)
				continue
			}
			if change.Connection.Generation != want {
				t.Fatalf("told of generation %d, want %d", change.Connection.Generation, want)
			}
			if want == slow {
				refreshNow(t, e, "alice", last-slow)
				forgetHistory(t, e)
			}
			if want++; want > last {
				break
			}
		}
	})
}

func TestAResumeTokenTellsNothingOfWhatOthersDo(t *testing.T) {
	e := vaulttest.NewEngine(t, vaulttest.EngineConfig{Quiet: true})
	beginMany(t, e, "bob", 3)
	raw, err := base64.RawURLEncoding.DecodeString(here(t, e, vault.WatchRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	page, err := e.Store.List(t.Context(), store.Key{Kind: "changes"}, "", 1)
	if err != nil || page.Revision == 0 {
		t.Fatalf("revision %d, %v", page.Revision, err)
	}
	if bytes.Contains(raw, binary.BigEndian.AppendUint64(nil, uint64(page.Revision))) {
		t.Errorf("it shows the store's revision %d: %x", page.Revision, raw)
	}
}

func TestResumeTokensThatAreNoneAreRefused(t *testing.T) {
	s := newExpiring(t)
	stream, _ := watch(t, s.Client, &tokenvaultv1.WatchConnectionsRequest{})
	if _, err := s.Client.RefreshConnection(t.Context(), &tokenvaultv1.RefreshConnectionRequest{Subject: "alice", Provider: "acme"}); err != nil {
		t.Fatal(err)
	}
	good := receive(t, stream).GetResumeToken()
	neighbours := ""
	for change, err := range s.Vault.Watch(t.Context(), vault.WatchRequest{Tenant: "neighbour"}) {
		if err != nil {
			t.Fatal(err)
		}
		neighbours = change.ResumeToken
		break
	}
	young, old := vaulttest.New(t, vaulttest.Config{}), vaulttest.New(t, vaulttest.Config{})
	for i := range 5 {
		old.Connect(fmt.Sprint("subject-", i), "acme", vaulttest.Ada)
	}
	for _, row := range []struct {
		name, token string
		code        codes.Code
		reason      string
	}{
		{"good", good, codes.OK, ""},
		{"no base64", "not a token!", codes.InvalidArgument, "INVALID_RESUME_TOKEN"},
		{"a word", "nonsense", codes.InvalidArgument, "INVALID_RESUME_TOKEN"},
		{"padded", good + "==", codes.InvalidArgument, "INVALID_RESUME_TOKEN"},
		{"too short", good[:40], codes.OutOfRange, "RESUME_TOKEN_EXPIRED"},
		{"too long", good + "AAAA", codes.OutOfRange, "RESUME_TOKEN_EXPIRED"},
		{"changed", good[:40] + good[41:] + "A", codes.OutOfRange, "RESUME_TOKEN_EXPIRED"},
		{"a page token", pageToken(t, s), codes.OutOfRange, "RESUME_TOKEN_EXPIRED"},
		{"64 KiB", strings.Repeat("A", 64<<10), codes.OutOfRange, "RESUME_TOKEN_EXPIRED"},
		{"of a version that did not seal them", base64.RawURLEncoding.EncodeToString(make([]byte, 24)), codes.OutOfRange, "RESUME_TOKEN_EXPIRED"},
		{"another tenant's", neighbours, codes.OutOfRange, "RESUME_TOKEN_EXPIRED"},
		{"a younger vault's", resumeOf(t, young), codes.OutOfRange, "RESUME_TOKEN_EXPIRED"},
		{"an older vault's", resumeOf(t, old), codes.OutOfRange, "RESUME_TOKEN_EXPIRED"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := mustWatch(t, s.Client, &tokenvaultv1.WatchConnectionsRequest{ResumeToken: row.token}).Recv()
			wantError(t, err, row.code, row.reason)
		})
	}
	for _, moved := range []time.Duration{-time.Hour, 3 * time.Hour} { // the clock is set back; then much time goes by
		s.Clock.Advance(moved)
		_, err := mustWatch(t, s.Client, &tokenvaultv1.WatchConnectionsRequest{ResumeToken: good}).Recv()
		wantError(t, err, codes.OutOfRange, "RESUME_TOKEN_EXPIRED")
	}
}

func TestAResumeTokenOfBeforeARestoreIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
		e.MustConnect("alice")
		e.Stop()
		backup, err := os.ReadFile(e.Seat.DatabasePath)
		if err != nil {
			t.Fatal(err)
		}
		e.Restart()
		refreshNow(t, e, "alice", 3)
		resume := here(t, e, vault.WatchRequest{})
		time.Sleep(10 * time.Minute)

		e.Stop()
		if err := os.WriteFile(e.Seat.DatabasePath, backup, 0o600); err != nil {
			t.Fatal(err)
		}
		e.Restart()
		e.MustConnect("bob") // which is the change that would be lost
		for i := range 10 {
			e.MustConnect(fmt.Sprint("subject-", i))
		}
		if got, err := missed(t, e, resume); vault.ReasonOf(err) != vault.ResumeTokenExpired {
			t.Errorf("%d of 11 changes, %v; want RESUME_TOKEN_EXPIRED", len(got), err)
		}
	})
}

func resumeOf(t *testing.T, s *vaulttest.Stack) string {
	t.Helper()
	_, resume := watch(t, s.Client, &tokenvaultv1.WatchConnectionsRequest{})
	return resume
}

// pageToken returns one of ListConnections.
func pageToken(t *testing.T, s *vaulttest.Stack) string {
	t.Helper()
	s.Connect("bob", "acme", vaulttest.Ada)
	list, err := s.Client.ListConnections(t.Context(), &tokenvaultv1.ListConnectionsRequest{PageSize: 1})
	if err != nil || list.GetNextPageToken() == "" {
		t.Fatalf("no page token: %v", err)
	}
	return list.GetNextPageToken()
}
