package vaulttest_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/store"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// dawdling is a store that takes its time, never the same, once it is told to.
type dawdling struct {
	store.Store
	begun atomic.Bool
}

// step is what times are multiples of here: what happens in one step happens in
// any order, and shares a transaction.
const step = 3 * time.Second

func randomly(most time.Duration) { time.Sleep(step * rand.N(most/step)) }

func (d *dawdling) dawdle() {
	if d.begun.Load() {
		randomly(3 * step)
	}
}

func (d *dawdling) Get(ctx context.Context, key store.Key) (store.Record, error) {
	d.dawdle()
	return d.Store.Get(ctx, key)
}

func (d *dawdling) Commit(ctx context.Context, ops ...store.Op) (store.Revision, error) {
	d.dawdle()
	return d.Store.Commit(ctx, ops...)
}

func (d *dawdling) Lock(ctx context.Context, name string) (context.Context, func(), error) {
	d.dawdle()
	return d.Store.Lock(ctx, name)
}

func TestNothingComesBackAfterDisconnect(t *testing.T) {
	connections := 10_000
	if testing.Short() {
		connections = 1000
	}
	synctest.Test(t, func(t *testing.T) {
		slow := &dawdling{}
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{WrapStore: func(s store.Store) store.Store { slow.Store = s; return slow }})
		names := subjects(connections)
		e.MustConnect(names...)
		slow.begun.Store(true)
		e.Sandbox.Fault(sandbox.Token, sandbox.Fault{Delay: step})
		refreshed := 0
		var mu sync.Mutex
		var wg sync.WaitGroup
		for _, name := range names {
			begin := step * rand.N(45*time.Minute/step)
			wg.Go(func() {
				time.Sleep(begin)
				randomly(15 * step)
				if _, err := e.Vault.RefreshConnection(t.Context(), e.Key(name)); err == nil {
					mu.Lock()
					refreshed++
					mu.Unlock()
				} else if reason := vault.ReasonOf(err); reason != vault.NotConnected {
					t.Errorf("RefreshConnection(%s): %v", name, err)
				}
			})
			wg.Go(func() {
				time.Sleep(begin)
				randomly(20 * step)
				if _, err := e.Vault.Disconnect(t.Context(), e.Key(name)); err != nil {
					t.Errorf("Disconnect(%s): %v", name, err)
				}
			})
		}
		wg.Wait()
		t.Logf("%d of %d refreshes were faster than their disconnect", refreshed, connections)
		if refreshed == 0 || refreshed == connections {
			t.Error("the two never met")
		}
		time.Sleep(time.Hour)
		for _, kind := range []store.Kind{"connections", "due", "revocations"} {
			page, err := e.Store.List(t.Context(), store.Key{Kind: kind}, "", 10)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(page.Records); n > 0 {
				t.Errorf("%d or more records of kind %s are left", n, kind)
			}
		}
		if n := e.Sandbox.LiveFamilies(); n != 0 {
			t.Errorf("%d grants still live at the provider", n)
		}
	})
}
