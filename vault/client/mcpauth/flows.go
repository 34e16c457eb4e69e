package mcpauth

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tokenvault/tokenvault/vault/client"
)

const (
	// maxFlows is for how many people at once links are remembered.
	maxFlows = 10_000
	// maxFlowsOfOne is for one person: links come to their end one after the other.
	maxFlowsOfOne = 8
	// shownAgain is for how long a link is given to whoever asks. Afterwards they get
	// another: the person may have come to nothing with that one, of which only the vault
	// knows. It goes on working.
	shownAgain = 2 * time.Minute
	// connectPatience is how long the vault may take to make a link.
	connectPatience = 30 * time.Second
)

// flowKey is whose link it is, and which generation of credentials it is to replace: those
// that the provider refuses. 0: there is no connection. deadGrant: the vault knows that
// there are none that work.
type flowKey struct {
	subject string
	refused int64
}

// deadGrant is no generation. It stands for those of a connection that is there, so that a
// disconnect ends the flow: the vault takes no link from before that.
const deadGrant = -1

// flow is a link that somebody has been given, and whoever waits for what comes of it.
// All calls of a subject share one.
type flow struct {
	key  flowKey
	made chan struct{} // closed when there is a link, or an error
	link *client.Link
	err  error
	at   time.Time // when the link was made

	done      chan struct{} // closed when nobody needs to wait any more
	mu        sync.Mutex
	connected bool  // when it is done: the connection is there
	failure   error // when it is done: the browser came back with nothing
	cancel    context.CancelFunc
	// asked are the elicitations of sessions of revision 2025-11-25.
	asked map[asked]elicitation
}

// flows are those that have not come to their end. A link is given to others only until
// the connection is there.
type flows struct {
	now func() time.Time // of the links and of states

	mu     sync.Mutex
	of     map[string][]*flow // by subject
	count  int
	closed bool
	// waiting counts the calls that wait, by subject.
	waiting map[string]int
	// used are links that have led to a connection, or to nothing, until they would have
	// ended anyway.
	used map[string]time.Time
	// failures are for calls of revision 2025-11-25 that are made again.
	failures map[asked]failure
}

var (
	errClosed  = errors.New("this server is about to stop, and nobody can connect through it now. Call this tool again in a minute")
	errTooMany = errors.New("too many people are connecting their accounts through this server at the moment. Call this tool again in a few minutes")
)

func (f *flows) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
}

// find returns a flow of a key whose link works, or nil. isFresh: one whose link can be
// shown.
func (f *flows) find(key flowKey, isFresh bool) *flow {
	for _, known := range f.of[key.subject] {
		if known.key == key && known.works(f.now(), isFresh) {
			return known
		}
	}
	return nil
}

// works reports whether a link works, as far as is known.
func (f *flow) works(now time.Time, isFresh bool) bool {
	select {
	case <-f.made:
		return f.err == nil && now.Before(f.link.ExpireTime) && (!isFresh || now.Before(f.at.Add(shownAgain)))
	default:
		return true
	}
}

// given is a link that the person has from elsewhere, such as another replica.
type given struct {
	link *client.Link
	at   time.Time // when it was made
}

// works reports whether it may lead somewhere.
func (g *given) works(flows *flows, isFresh bool) bool {
	_, isUsed := flows.used[g.link.URL]
	now := flows.now()
	return !isUsed && now.Before(g.link.ExpireTime) && (!isFresh || now.Before(g.at.Add(shownAgain)))
}

// flow returns a flow whose link can be shown, and has one made where there is none.
// The one that is given is taken while it can be. May be nil.
func (a *Auth) flow(ctx context.Context, key flowKey, g *given) (*flow, error) {
	f, err := a.findOrStart(key, g)
	if err != nil {
		return nil, err
	}
	select {
	case <-f.made:
		return f, f.err
	case <-a.ctx.Done():
		return nil, errClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (a *Auth) findOrStart(key flowKey, g *given) (*flow, error) {
	a.flows.mu.Lock()
	defer a.flows.mu.Unlock()
	if f := a.flows.find(key, true); f != nil {
		return f, nil
	}
	if g != nil && !g.works(&a.flows, true) {
		g = nil
	}
	return a.start(key, g)
}

// flowOf returns the flow of a link that the person has, however long they have had it.
// Nil: it leads nowhere any more.
func (a *Auth) flowOf(key flowKey, g *given) (*flow, error) {
	a.flows.mu.Lock()
	defer a.flows.mu.Unlock()
	if f := a.flows.find(key, false); f != nil {
		return f, nil
	}
	if !g.works(&a.flows, false) {
		return nil, nil
	}
	return a.start(key, g)
}

// start begins a flow with a link. Nil: with one that it has made. The lock is held.
func (a *Auth) start(key flowKey, g *given) (*flow, error) {
	switch {
	case a.flows.closed:
		return nil, errClosed
	case a.flows.count >= maxFlows || len(a.flows.of[key.subject]) >= maxFlowsOfOne:
		return nil, errTooMany
	}
	f := &flow{key: key, made: make(chan struct{}), done: make(chan struct{}), asked: map[asked]elicitation{}}
	if g != nil {
		f.link, f.at = g.link, g.at
		close(f.made)
	}
	a.flows.of[key.subject] = append(a.flows.of[key.subject], f)
	a.flows.count++
	a.background.Go(func() { a.run(f) })
	return f, nil
}

// run makes the link, and waits for the person.
func (a *Auth) run(f *flow) {
	if f.link == nil {
		f.at = a.flows.now()
		f.link, f.err = a.connect(f.key.subject)
		close(f.made)
	}
	if f.err != nil {
		a.flows.remove(f, false)
		f.end(false)
		return
	}
	connected := a.wait(f)
	a.flows.remove(f, connected || f.failed() != nil) // before anybody is told: nobody is given a link that is used
	f.end(connected)
	a.tell(f)
}

// wait waits for the person, and reports whether they have connected.
func (a *Auth) wait(f *flow) bool {
	// Not a deadline: the calls of the vault would take it for their own.
	ctx, cancel := context.WithCancel(a.ctx)
	defer cancel()
	if !f.setCancel(cancel) {
		return false
	}
	end := time.AfterFunc(f.link.ExpireTime.Sub(a.flows.now()), cancel)
	defer end.Stop()
	err := a.config.Vault.WaitReplaced(ctx, f.key.subject, a.config.Provider, f.key.refused, client.WithLabel(a.config.Label))
	if _, gone := errors.AsType[*client.ConnectRequired](err); err != nil && !gone && ctx.Err() == nil {
		a.log.WarnContext(ctx, "mcpauth: cannot wait for a person to connect", slog.Any("cause", err))
	}
	return err == nil
}

func (f *flows) remove(gone *flow, isUsed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	left := slices.DeleteFunc(f.of[gone.key.subject], func(known *flow) bool { return known == gone })
	if f.of[gone.key.subject] = left; len(left) == 0 {
		delete(f.of, gone.key.subject)
	}
	f.count--
	maps.DeleteFunc(f.used, func(_ string, end time.Time) bool { return !f.now().Before(end) })
	if isUsed {
		f.used[gone.link.URL] = gone.link.ExpireTime
	}
	f.keepFailure(gone)
}

// end tells those who wait.
func (f *flow) end(connected bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.connected = connected
	close(f.done)
}
