// Package storetest is the contract of store.Store in code. Every backend runs
// the whole of it; none may leave out a case.
package storetest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/tokenvault/tokenvault/vault/store"
)

// Backend opens stores for the suite.
type Backend interface {
	// Open returns the store of the test: the same data each time that it is
	// called in one test, once what it returned before is closed. The kinds
	// of Watched, and no others, can be watched.
	Open(t *testing.T) store.Store
	// History is the least number of changes after which a Watch from before
	// them ends with ErrCompacted.
	History() int
}

// Watched are the kinds that the suite watches.
func Watched() []store.Kind { return []store.Kind{kind, "others"} }

// Run runs the suite. newBackend returns a backend with no data, for one test.
func Run(t *testing.T, newBackend func(t *testing.T) Backend) {
	for name, test := range map[string]func(*testing.T, Backend){
		"a record is as it was put":                          recordIsAsItWasPut,
		"values belong to the caller":                        valuesBelongToTheCaller,
		"a deleted record is not found":                      deletedIsNotFound,
		"expectations are kept":                              expectationsAreKept,
		"a commit is all or nothing":                         commitIsAllOrNothing,
		"commits that make no sense are refused":             senselessCommitsAreRefused,
		"revisions rise":                                     revisionsRise,
		"a list is in order and by prefix":                   listIsInOrder,
		"pages hold each record once":                        pagesHoldEachRecordOnce,
		"records survive reopening":                          recordsSurviveReopening,
		"increments under contention are not lost":           incrementsAreNotLost,
		"many commit at once":                                manyCommitAtOnce,
		"of commits in conflict one wins":                    oneOfManyWins,
		"commits at once are each all or nothing":            allOrNothingAtOnce,
		"a refused commit harms none beside it":              refusedHarmsNone,
		"readers see every commit that has returned":         readersAreUpToDate,
		"what a watch tells of can be read":                  watchedCanBeRead,
		"commits under way when the store closes are whole":  closeWaitsForCommits,
		"a commit of a thousand changes":                     thousandChanges,
		"a large value":                                      largeValue,
		"a context that has ended does nothing":              endedContextDoesNothing,
		"a closed store says so":                             closedStoreSaysSo,
		"a lock excludes":                                    lockExcludes,
		"waiting for a lock ends with the context":           lockHonoursContext,
		"a lock is lost when the store closes":               lockIsLostOnClose,
		"nothing is committed under a lost lock":             lostLockCommitsNothing,
		"a lock is lost though its parent ended first":       releasedAfterItsParentCommitsNothing,
		"locks of other names do not wait":                   otherLocksDoNotWait,
		"a watch sees every change in order":                 watchSeesEveryChange,
		"a watch sees deletions and its prefix only":         watchSeesDeletions,
		"a list and a watch from it miss nothing":            listThenWatch,
		"a watch goes on across reopening":                   watchGoesOnAfterReopening,
		"a watch from before the history is told to list":    watchFromBeforeHistory,
		"a watch from the future is told to list":            watchFromTheFuture,
		"one large commit leaves no gap in a watch":          watchAcrossALargeCommit,
		"kinds that nobody watches push nothing out":         unwatchedPushNothingOut,
		"a kind that is not watched says so":                 unwatchedSaysSo,
		"a watch ends with its context and with the store":   watchEnds,
		"a consumer that stops watching harms nobody":        watchStopped,
		"a watch that began before the first change sees it": watchBeforeFirstChange,
	} {
		t.Run(name, func(t *testing.T) { test(t, newBackend(t)) })
	}
}

const (
	kind      store.Kind = "things"
	unwatched store.Kind = "unwatched"
)

func key(id string) store.Key { return store.Key{Kind: kind, ID: id} }

func numbered(i int) store.Key { return key(fmt.Sprintf("%06d", i)) }

func commit(t *testing.T, s store.Store, ops ...store.Op) store.Revision {
	t.Helper()
	revision, err := s.Commit(t.Context(), ops...)
	if err != nil {
		t.Fatalf("Commit: %v", err)
	}
	return revision
}

func put(t *testing.T, s store.Store, k store.Key, value string) store.Revision {
	t.Helper()
	return commit(t, s, store.Put(k, []byte(value), store.Any))
}

func wantValue(t *testing.T, s store.Store, k store.Key, want string) store.Record {
	t.Helper()
	rec, err := s.Get(t.Context(), k)
	if err != nil || string(rec.Value) != want || rec.Key != k {
		t.Fatalf("Get(%v) = %q, %v; want %q", k, rec.Value, err, want)
	}
	return rec
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error = %v, want %v", err, want)
	}
}
