package mcpauth

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	// maxAsked is how many calls at once can be told of one connection.
	maxAsked = 100
	// justAsked is how long a client may take to listen for the end of what it has been
	// asked.
	justAsked = 2 * time.Second
	// maxTold is how often a session is told of one end.
	maxTold = 5
)

// asked is a call of a session of revision 2025-11-25 that has been told to ask.
type asked struct {
	session   *mcp.ServerSession
	subject   string
	tool      string
	arguments [sha256.Size]byte
}

// elicitation is what the session knows it by.
type elicitation struct {
	id string
	at time.Time
}

func (c *call) asked() asked {
	return asked{session: c.req.Session, subject: c.conn.subject, tool: c.req.Params.Name, arguments: c.arguments}
}

// askByElicitation is for revision 2025-11-25: the client asks, is told when the
// connection is there, and calls again. Each call has an id of its own, since clients
// keep one waiter for each.
func (c *call) askByElicitation(f *flow) error {
	id := f.ask(c.asked())
	if id == "" {
		return c.auth.inText(f)
	}
	return mcp.URLElicitationRequiredError([]*mcp.ElicitParams{{
		Mode: "url", URL: f.link.URL, ElicitationID: id, Message: c.auth.question(f),
	}})
}

// ask notes a call. The same call has the same id. Empty: there are too many, or nobody
// waits any more.
func (f *flow) ask(by asked) (id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, known := f.asked[by]
	switch {
	case f.isDone(), !known && len(f.asked) >= maxAsked:
		return ""
	case !known:
		e.id = rand.Text()
	}
	e.at = time.Now()
	f.asked[by] = e
	return e.id
}

func (f *flow) isDone() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// flowAsked returns the flow that a call has been told of before. Nil: none.
func (a *Auth) flowAsked(by asked) *flow {
	a.flows.mu.Lock()
	defer a.flows.mu.Unlock()
	for _, f := range a.flows.of[by.subject] {
		if f.hasAsked(by) {
			return f
		}
	}
	return nil
}

func (f *flow) hasAsked(by asked) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, known := f.asked[by]
	return known
}

// tell tells sessions that a person is done, or that the link has ended: they call again,
// and get what there is, or another link. A session that has ended does not mind.
func (a *Auth) tell(f *flow) {
	var telling sync.WaitGroup
	for by, e := range f.asked { // it is done: nobody adds to them
		telling.Go(func() { a.tellOne(by.session, e) })
	}
	telling.Wait()
}

// tellOne tells one session. It tries again where nobody listens yet: over HTTP, clients
// begin to when they have initialized the session. To be told twice does no harm: ids
// that are not known any more are left alone.
func (a *Auth) tellOne(session *mcp.ServerSession, e elicitation) {
	for range maxTold {
		justNow := time.Since(e.at) < justAsked
		err := session.NotifyElicitationComplete(a.ctx, &mcp.ElicitationCompleteParams{ElicitationID: e.id})
		if err == nil && !justNow || errors.Is(err, mcp.ErrConnectionClosed) || !a.pause(justAsked) {
			return
		}
	}
}

// pause reports whether the time has passed, and the Auth has not been closed.
func (a *Auth) pause(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-a.ctx.Done():
		return false
	}
}
