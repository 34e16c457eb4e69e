package vault

import (
	"context"
	"log/slog"
	"sync"
	"time"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/keyring"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/store"
)

// Limits of the background's work for one provider in one process. Callers who
// wait for a refresh are not held up by it: they have places of their own
// (maxRefreshes).
const (
	// backgroundWorkers is how much of it is under way at once.
	backgroundWorkers = 16
	// backgroundPace is the least time between two beginnings: after an outage
	// the provider is not asked everything at once.
	backgroundPace = 10 * time.Millisecond
	// idlePause is how long a queue that has nothing due is left alone. Other
	// processes put work into it without waking this one.
	idlePause = 30 * time.Second
	// faultPause is how long it is left alone when the store fails.
	faultPause = 5 * time.Second
	// queueBatch is how many entries are read at once.
	queueBatch = 100
)

// providerQueues is the background's work for one provider: connections that are
// due, revocations that the provider has not confirmed, and device flows whose
// person has not decided.
type providerQueues struct {
	due, revocations, devices *queue
}

// run works all off until ctx ends.
func (q providerQueues) run(ctx context.Context) {
	var loops sync.WaitGroup
	loops.Go(func() { q.due.run(ctx) })
	loops.Go(func() { q.revocations.run(ctx) })
	loops.Go(func() { q.devices.run(ctx) })
	loops.Wait()
}

// queue works off the records of one kind that wait for one provider, in the
// order of the times in their store keys.
type queue struct {
	store  store.Store
	prefix store.Key
	now    func() time.Time
	log    *slog.Logger
	// work does what an entry stands for. Afterwards the entry has moved to a
	// later time, or is gone.
	work func(context.Context, store.Record) error
	// closedFor says for how long nothing is to be begun.
	closedFor func(time.Time) time.Duration

	poke    chan struct{}
	mu      sync.Mutex
	next    time.Time       // when the queue is looked at next
	running map[string]bool // entries under way, by what follows the time
}

// wakeBy has the queue looked at when the time has come.
func (q *queue) wakeBy(at time.Time) {
	q.mu.Lock()
	sooner := at.Before(q.next)
	q.mu.Unlock()
	if sooner {
		select {
		case q.poke <- struct{}{}:
		default: // it is about to look anyway
		}
	}
}

// run works until ctx ends, and waits for what is under way then.
func (q *queue) run(ctx context.Context) {
	places := make(chan struct{}, backgroundWorkers)
	var workers sync.WaitGroup
	defer workers.Wait()
	for ctx.Err() == nil {
		wait, err := q.dispatch(ctx, &workers, places)
		if err != nil && ctx.Err() == nil {
			q.log.LogAttrs(ctx, slog.LevelError, "background work failed", slog.String("kind", string(q.prefix.Kind)), slog.Any("cause", err))
			wait = faultPause
		}
		q.sleep(ctx, wait)
	}
}

func (q *queue) sleep(ctx context.Context, wait time.Duration) {
	q.mu.Lock()
	q.next = q.now().Add(wait)
	q.mu.Unlock()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-q.poke:
	case <-timer.C:
	}
}

// dispatch begins what is due and returns how long to wait for what comes next.
func (q *queue) dispatch(ctx context.Context, workers *sync.WaitGroup, places chan struct{}) (time.Duration, error) {
	q.mu.Lock()
	q.next = endOfTime() // what changes while the index is being read wakes
	q.mu.Unlock()
	for after := ""; ; {
		page, err := q.store.List(ctx, q.prefix, after, queueBatch)
		if err != nil {
			return 0, err
		}
		for _, rec := range page.Records {
			after = rec.Key.ID
			if len(after) <= keyring.BlindSize+dueTimeSize {
				q.log.LogAttrs(ctx, slog.LevelError, "the database has an entry that the vault has not written", slog.String("kind", string(rec.Key.Kind)))
				continue
			}
			now := q.now()
			if left := keyTime(after[keyring.BlindSize:]).Sub(now); left > 0 {
				return min(left, idlePause), nil
			}
			if closed := q.closedFor(now); closed > 0 {
				return min(closed, idlePause), nil
			}
			if err := q.begin(ctx, rec, workers, places); err != nil {
				return 0, err
			}
		}
		if len(page.Records) < queueBatch {
			return idlePause, nil
		}
	}
}

// begin takes a place and works on an entry, unless somebody is at it already.
func (q *queue) begin(ctx context.Context, rec store.Record, workers *sync.WaitGroup, places chan struct{}) error {
	what := rec.Key.ID[keyring.BlindSize+dueTimeSize:]
	q.mu.Lock()
	busy := q.running[what]
	q.running[what] = true
	q.mu.Unlock()
	if busy {
		return nil
	}
	done := func() {
		q.mu.Lock()
		delete(q.running, what)
		q.mu.Unlock()
	}
	select {
	case places <- struct{}{}:
	case <-ctx.Done():
		done()
		return ctx.Err()
	}
	workers.Go(func() {
		defer func() { <-places }()
		err := q.work(ctx, rec)
		done()
		if err != nil && ctx.Err() == nil {
			q.log.LogAttrs(ctx, slog.LevelError, "background work failed", slog.String("kind", string(q.prefix.Kind)), slog.Any("cause", err))
		}
	})
	pace := time.NewTimer(backgroundPace)
	defer pace.Stop()
	select {
	case <-pace.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// newQueues returns the queues of a provider.
func (v *Vault) newQueues(p *provider.Provider) (providerQueues, error) {
	prefix, err := v.blind.provider(p.Name())
	if err != nil {
		return providerQueues{}, err
	}
	closedFor := neverClosed
	if len(p.Definition().Variables) == 0 { // else, a host that is down holds up no other
		closedFor = v.breakers.of(p).closedFor
	}
	return providerQueues{
		due: v.newQueue(store.Key{Kind: kindDue, ID: prefix}, closedFor, func(ctx context.Context, rec store.Record) error {
			return v.workDue(ctx, p, rec.Key)
		}),
		revocations: v.newQueue(store.Key{Kind: kindRevocations, ID: prefix}, neverClosed, func(ctx context.Context, rec store.Record) error {
			return v.workRevocation(ctx, p, rec)
		}),
		devices: v.newQueue(store.Key{Kind: kindDevices, ID: prefix}, neverClosed, func(ctx context.Context, rec store.Record) error {
			return v.workDevice(ctx, p, rec)
		}),
	}, nil
}

func neverClosed(time.Time) time.Duration { return 0 }

func (v *Vault) newQueue(prefix store.Key, closedFor func(time.Time) time.Duration, work func(context.Context, store.Record) error) *queue {
	return &queue{
		store: v.store, prefix: prefix, now: v.now, log: v.log, work: work, closedFor: closedFor,
		poke: make(chan struct{}, 1), next: endOfTime(), running: map[string]bool{},
	}
}

// endOfTime is later than anything that is due.
func endOfTime() time.Time { return time.Unix(1<<40, 0) }

// dueSoon has the queue looked at in time for a connection.
func (v *Vault) dueSoon(c *storagev1.Connection) {
	if q, ok := v.queues[c.GetKey().GetProvider()]; ok && c.GetDueTime() != nil {
		q.due.wakeBy(c.GetDueTime().AsTime())
	}
}
