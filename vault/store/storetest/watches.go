package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/tokenvault/tokenvault/vault/store"
)

// watched reads n events.
func watched(t *testing.T, s store.Store, prefix store.Key, from store.Revision, n int) []store.Event {
	t.Helper()
	var events []store.Event
	for event, err := range s.Watch(t.Context(), prefix, from) {
		if err != nil {
			t.Fatalf("Watch: %v", err)
		}
		if events = append(events, event); len(events) == n {
			break
		}
	}
	return events
}

func watchSeesEveryChange(t *testing.T, b Backend) {
	s := b.Open(t)
	const n = 600
	go func() {
		for i := range n {
			if _, err := s.Commit(t.Context(), store.Put(numbered(i), []byte("x"), store.Any)); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	last := store.Revision(0)
	for i, event := range watched(t, s, key(""), 0, n) {
		if event.Key != numbered(i) || event.Deleted || event.Revision <= last {
			t.Fatalf("event %d is %+v, after revision %d", i, event, last)
		}
		last = event.Revision
	}
}

func watchSeesDeletions(t *testing.T, b Backend) {
	s := b.Open(t)
	put(t, s, key("a1"), "x")
	put(t, s, key("b1"), "x")
	put(t, s, store.Key{Kind: "others", ID: "a2"}, "x")
	commit(t, s, store.Delete(key("a9"), store.Any)) // changes nothing
	commit(t, s, store.Delete(key("a1"), store.Any), store.Put(key("a3"), []byte("x"), store.Any))
	events := watched(t, s, key("a"), 0, 3)
	want := []struct {
		id      string
		deleted bool
	}{{"a1", false}, {"a1", true}, {"a3", false}}
	for i, event := range events {
		if event.Key.ID != want[i].id || event.Deleted != want[i].deleted {
			t.Errorf("event %d is %+v, want %+v", i, event, want[i])
		}
	}
	if events[1].Revision != events[2].Revision {
		t.Error("the changes of one commit have different revisions")
	}
}

func listThenWatch(t *testing.T, b Backend) {
	s := b.Open(t)
	put(t, s, key("a"), "1")
	page, err := s.List(t.Context(), key(""), "", 10)
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, key("b"), "1")
	if events := watched(t, s, key(""), page.Revision, 1); events[0].Key != key("b") {
		t.Errorf("the first event after the list is %+v, want b", events[0])
	}
}

func watchGoesOnAfterReopening(t *testing.T, b Backend) {
	s := b.Open(t)
	from := put(t, s, key("a"), "1")
	put(t, s, key("b"), "1")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = b.Open(t)
	put(t, s, key("c"), "1")
	events := watched(t, s, key(""), from, 2)
	if events[0].Key != key("b") || events[1].Key != key("c") {
		t.Errorf("events = %+v, want b and c", events)
	}
}

func watchFromBeforeHistory(t *testing.T, b Backend) {
	s := b.Open(t)
	from := put(t, s, key("a"), "1")
	for left := b.History() + 1; left > 0; left -= 500 {
		var ops []store.Op
		for i := range 500 {
			ops = append(ops, store.Put(numbered(i), []byte("1"), store.Any))
		}
		commit(t, s, ops...)
	}
	for _, err := range s.Watch(t.Context(), key(""), from) {
		wantError(t, err, store.ErrCompacted)
		return
	}
}

func watchFromTheFuture(t *testing.T, b Backend) {
	s := b.Open(t)
	now := put(t, s, key("a"), "1")
	for _, from := range []store.Revision{now + 1, now + 1_000_000} {
		for event, err := range s.Watch(t.Context(), key(""), from) {
			if !errors.Is(err, store.ErrCompacted) {
				t.Errorf("a watch from %d, with the store at %d: %+v, %v; want ErrCompacted", from, now, event, err)
			}
			break
		}
	}
}

func watchAcrossALargeCommit(t *testing.T, b Backend) {
	s := b.Open(t)
	from := put(t, s, key("a"), "1")
	var ops []store.Op
	for i := range 3000 {
		ops = append(ops, store.Put(numbered(i), []byte("x"), store.Any))
	}
	large := commit(t, s, ops...)
	last := put(t, s, key("z"), "1")
	seen := make(map[string]bool)
	for _, event := range watched(t, s, key(""), from, len(ops)+1) {
		if want := map[bool]store.Revision{true: last, false: large}[event.Key == key("z")]; event.Revision != want || seen[event.Key.ID] {
			t.Fatalf("event %+v, want each once, at revision %d", event, want)
		}
		seen[event.Key.ID] = true
	}
}

func unwatchedPushNothingOut(t *testing.T, b Backend) {
	s := b.Open(t)
	from := put(t, s, key("a"), "1")
	put(t, s, key("b"), "1")
	for left := b.History() + 1; left > 0; left -= 500 {
		var ops []store.Op
		for i := range 500 {
			ops = append(ops, store.Put(store.Key{Kind: unwatched, ID: fmt.Sprint(i)}, []byte("x"), store.Any))
		}
		commit(t, s, ops...)
	}
	if events := watched(t, s, key(""), from, 1); events[0].Key != key("b") {
		t.Errorf("the first event is %+v, want b", events[0])
	}
}

func unwatchedSaysSo(t *testing.T, b Backend) {
	s := b.Open(t)
	for _, err := range s.Watch(t.Context(), store.Key{Kind: unwatched}, 0) {
		wantError(t, err, store.ErrUnwatched)
		return
	}
	t.Error("the watch ended without an error")
}

func watchEnds(t *testing.T, b Backend) {
	s := b.Open(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	revision := put(t, s, key("a"), "1")
	var last error
	for _, err := range s.Watch(ctx, key(""), revision-1) {
		last = err
		cancel()
	}
	wantError(t, last, context.Canceled)

	for _, err := range s.Watch(t.Context(), key(""), revision-1) {
		if last = err; err == nil {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	wantError(t, last, store.ErrClosed)
}

func watchStopped(t *testing.T, b Backend) {
	s := b.Open(t)
	for range 3 {
		put(t, s, key("a"), "1")
		watched(t, s, key(""), 0, 1)
	}
	put(t, s, key("a"), "2")
}

func watchBeforeFirstChange(t *testing.T, b Backend) {
	s := b.Open(t)
	seen := make(chan store.Event, 1)
	go func() {
		for event, err := range s.Watch(t.Context(), key(""), 0) {
			if err == nil {
				seen <- event
			}
			return
		}
	}()
	put(t, s, key("a"), "1")
	if event := <-seen; event.Key != key("a") {
		t.Errorf("event = %+v, want a", event)
	}
}
