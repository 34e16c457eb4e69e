package client

import (
	"container/list"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"
)

const (
	// longest is how long an answer is believed while the watch tells of changes.
	longest = 5 * time.Minute
	// untold is how long one is believed when it does not.
	untold = 30 * time.Second
	// usualSize is how many answers are kept.
	usualSize = 10_000
)

// key is what an answer is kept under: all that the vault's depends on.
type key struct {
	name
	minTTL       time.Duration
	scopes       string
	subjectToken [32]byte // a hash; zero: none
}

// answer is what the vault has said.
type answer struct {
	credentials *Credentials
	token       *oauth2.Token // nil: they are none
	at, end     time.Time     // when it came, and when it is used no more
	// told is the watch that tells of changes since it was asked for. 0: none does.
	told uint64
}

// slot is where answers to one question are.
type slot struct {
	key
	answer *answer // nil: none
	// asking is the call under way whose answer belongs here. Nil: none does.
	asking *asking
	used   atomic.Bool // since it was last at the front of the line
	// renewing holds one message while somebody sees to a token that was refused, and
	// renewed is when that was done last.
	renewing chan struct{}
	renewed  time.Time
}

// asking is a call that any number wait for.
type asking struct {
	done   chan struct{}
	answer *answer
	err    error
}

// cache keeps answers for as long as they are to be believed. It is safe for concurrent
// use.
type cache struct {
	size int

	mu    sync.RWMutex
	slots map[key]*list.Element // of *slot
	names map[name]map[*slot]struct{}
	line  *list.List // of *slot: the next one to go is in front

	// watch counts the watches that have left no gap between them. 0: there was none.
	watch uint64
	// up says that it tells of changes now, and seen when it last did.
	up   bool
	seen time.Time
	// waiting are closed at the next news of a connection.
	waiting map[name]map[chan struct{}]struct{}
}

func newCache(size int) *cache {
	if size <= 0 {
		size = usualSize
	}
	return &cache{
		size: size, slots: map[key]*list.Element{}, names: map[name]map[*slot]struct{}{}, line: list.New(), waiting: map[name]map[chan struct{}]struct{}{},
	}
}

// get returns an answer that is believed, or nil.
func (c *cache) get(k key, now time.Time) *answer {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e := c.slots[k]
	if e == nil {
		return nil
	}
	s := e.Value.(*slot)
	if !c.believes(s.answer, now) {
		return nil
	}
	if !s.used.Load() {
		s.used.Store(true)
	}
	return s.answer
}

func (c *cache) believes(a *answer, now time.Time) bool {
	if a == nil || !now.Before(a.end) {
		return false
	}
	isTold := a.told != 0 && a.told == c.watch && (c.up || now.Before(c.seen.Add(untold)))
	return isTold || now.Before(a.at.Add(untold))
}

// ask waits for an answer. The first who asks makes the call; it goes on when they stop
// waiting, since others may have come.
func (c *cache) ask(ctx context.Context, k key, now func() time.Time, call func(context.Context) (*answer, error)) (*answer, error) {
	c.mu.Lock()
	s := c.slot(k)
	if c.believes(s.answer, now()) {
		defer c.mu.Unlock()
		return s.answer, nil
	}
	if s.asking == nil {
		s.asking = &asking{done: make(chan struct{})}
		go c.make(ctx, s, s.asking, c.watch, call)
	}
	under := s.asking
	c.mu.Unlock()
	select {
	case <-under.done:
		return under.answer, under.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// make makes a call, and keeps its answer unless there was news meanwhile.
func (c *cache) make(ctx context.Context, s *slot, a *asking, watch uint64, call func(context.Context) (*answer, error)) {
	defer close(a.done)
	limit := patience
	if deadline, has := ctx.Deadline(); has {
		limit = max(limit, time.Until(deadline))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	a.answer, a.err = call(ctx)
	if a.err == nil && s.subject != "" {
		a.answer.told = watch
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.asking != a {
		return
	}
	s.asking = nil
	if a.err == nil {
		s.answer = a.answer
	}
}

// slot returns the slot of a key, and makes room for it. Those that were used since they
// came to the front of the line go to its end once more.
func (c *cache) slot(k key) *slot {
	if e := c.slots[k]; e != nil {
		return e.Value.(*slot)
	}
	for c.line.Len() >= c.size {
		first := c.line.Front()
		s := first.Value.(*slot)
		if s.used.Swap(false) {
			c.line.MoveToBack(first)
			continue
		}
		c.remove(first, s)
	}
	s := &slot{key: k, renewing: make(chan struct{}, 1)}
	c.slots[k] = c.line.PushBack(s)
	if c.names[k.name] == nil {
		c.names[k.name] = map[*slot]struct{}{}
	}
	c.names[k.name][s] = struct{}{}
	return s
}

func (c *cache) remove(e *list.Element, s *slot) {
	c.line.Remove(e)
	delete(c.slots, s.key)
	delete(c.names[s.name], s)
	if len(c.names[s.name]) == 0 {
		delete(c.names, s.name)
	}
	s.answer, s.asking = nil, nil
}

// forget throws away what is known of a connection, but for answers of that generation
// (0: none), which are from after the change. Calls under way may be from before: their
// answers are for those only who wait already.
func (c *cache) forget(n name, generation int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range c.names[n] {
		s.asking = nil
		if s.answer != nil && (generation == 0 || s.answer.credentials.Generation != generation) {
			s.answer = nil
		}
	}
	c.wake(n)
}

// drop throws away one answer, if it is of that generation.
func (c *cache) drop(s *slot, generation int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.answer != nil && s.answer.credentials.Generation == generation {
		s.answer = nil
	}
}

// dropKey is drop for the answer to a question, if it has been asked.
func (c *cache) dropKey(k key, generation int64) {
	c.mu.RLock()
	e := c.slots[k]
	c.mu.RUnlock()
	if e != nil {
		c.drop(e.Value.(*slot), generation)
	}
}

// news is closed when something may have happened to a connection. stop is called by
// who does not wait any more.
func (c *cache) news(n name) (news <-chan struct{}, stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch := make(chan struct{})
	if c.waiting[n] == nil {
		c.waiting[n] = map[chan struct{}]struct{}{}
	}
	c.waiting[n][ch] = struct{}{}
	return ch, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if delete(c.waiting[n], ch); len(c.waiting[n]) == 0 {
			delete(c.waiting, n)
		}
	}
}

func (c *cache) wake(n name) {
	for ch := range c.waiting[n] {
		close(ch)
	}
	delete(c.waiting, n)
}

// watchUp says that the watch tells of all changes from now on: of all since it was up
// last, if it goes on there.
func (c *cache) watchUp(goesOn bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.up = true
	if !goesOn || c.watch == 0 {
		c.watch++
	}
	for n := range c.waiting {
		c.wake(n)
	}
}

func (c *cache) watchDown(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.up {
		c.up, c.seen = false, now
	}
}

func (c *cache) isWatched() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.up
}

// close throws away everything.
func (c *cache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := c.line.Front(); e != nil; e = c.line.Front() {
		c.remove(e, e.Value.(*slot))
	}
}
