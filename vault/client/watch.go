package client

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
)

// Pauses before the watch is begun again. The real ones are between half and all of it.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 10 * time.Second
	// forbiddenPause is for callers whose rules do not allow a watch: somebody may widen
	// them.
	forbiddenPause = 10 * time.Minute
)

// watcher keeps the one watch of a client going, from the first call that needs it.
type watcher struct {
	log    *slog.Logger
	once   sync.Once
	resume string // the last token seen
	said   codes.Code
}

// begin begins the watch, unless it has been.
func (w *watcher) begin(c *Client) {
	w.once.Do(func() { c.background.Go(func() { w.run(c) }) })
}

// run watches until the client is closed.
func (w *watcher) run(c *Client) {
	pause := firstPause
	for c.ctx.Err() == nil {
		wasUp, err := w.watch(c)
		c.cache.watchDown(c.now())
		if wasUp {
			pause = firstPause
		}
		wait := pause
		switch code := statusOf(err).Code(); code {
		case codes.OutOfRange, codes.InvalidArgument: // changes are lost, or the vault is another
			w.resume = ""
		case codes.PermissionDenied, codes.Unimplemented:
			wait = forbiddenPause
			w.say(c.ctx, code, "connections cannot be watched: answers are kept for 30 s only, unless the caller's rules get WatchConnections", err)
		default:
			w.say(c.ctx, code, "the watch of connections has ended: it begins again", err)
		}
		pause = min(2*pause, lastPause)
		select {
		case <-c.ctx.Done():
		case <-time.After(wait/2 + rand.N(wait/2)):
		}
	}
}

// say writes a line for each new problem.
func (w *watcher) say(ctx context.Context, code codes.Code, text string, err error) {
	if ctx.Err() != nil || code == w.said {
		return
	}
	w.said = code
	w.log.InfoContext(ctx, text, slog.Any("cause", err))
}

// watch watches until the stream ends, and says whether it was told of changes.
func (w *watcher) watch(c *Client) (wasUp bool, err error) {
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	stream, err := c.vault.WatchConnections(ctx, &tokenvaultv1.WatchConnectionsRequest{ResumeToken: w.resume}, grpc.WaitForReady(true))
	if err != nil {
		return false, err
	}
	goesOn := w.resume != ""
	for {
		resp, err := stream.Recv()
		if err != nil {
			return wasUp, err
		}
		w.take(c, resp)
		if resp.GetEvent() == tokenvaultv1.ConnectionEvent_CONNECTION_EVENT_CHECKPOINT && !wasUp {
			wasUp, w.said = true, codes.OK
			c.cache.watchUp(goesOn)
		}
	}
}

// take takes a change in. Answers stay that are from after it: the calls that have
// brought them have made the change.
func (w *watcher) take(c *Client, resp *tokenvaultv1.WatchConnectionsResponse) {
	w.resume = resp.GetResumeToken()
	changed := resp.GetConnection()
	if changed == nil {
		return
	}
	generation := int64(0)
	switch resp.GetEvent() {
	case tokenvaultv1.ConnectionEvent_CONNECTION_EVENT_CONNECTED, tokenvaultv1.ConnectionEvent_CONNECTION_EVENT_REFRESHED,
		tokenvaultv1.ConnectionEvent_CONNECTION_EVENT_API_KEY_SET:
		generation = changed.GetGeneration()
	}
	c.cache.forget(name{changed.GetSubject(), changed.GetProvider(), changed.GetLabel()}, generation)
}
