package mcpauth

import (
	"context"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// maxWaiting is how many calls of one person wait: those of sessions do so when their
// clients have gone, too.
const maxWaiting = 100

// await waits for a person who has said that they are at it, for the time that a call may
// take. It returns nil also when that is over, and where too many wait already.
func (c *call) await(ctx context.Context) error {
	if wayOf(c.req) == byElicitation {
		if err := c.lastFailure(ctx); err != nil {
			return err
		}
	}
	f, err := c.awaited()
	if f == nil || err != nil {
		return err
	}
	switch isIn, err := c.auth.enter(c.conn.subject); {
	case err != nil:
		return err
	case !isIn:
		return nil
	}
	defer c.auth.leave(c.conn.subject)
	limit := time.NewTimer(c.auth.config.Wait)
	defer limit.Stop()
	beat := time.NewTicker(c.auth.beat)
	defer beat.Stop()
	for beats := 1; ; beats++ {
		select {
		case <-f.done: // with Close, too
			return f.failed()
		case <-limit.C:
			return nil
		case <-beat.C:
			c.signal(ctx, beats)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// enter has Close wait for the caller, who calls leave. False: too many calls of that
// person wait already.
func (a *Auth) enter(subject string) (isIn bool, err error) {
	a.flows.mu.Lock()
	defer a.flows.mu.Unlock()
	switch {
	case a.flows.closed:
		return false, errClosed
	case a.flows.waiting[subject] >= maxWaiting:
		return false, nil
	}
	a.flows.waiting[subject]++
	a.background.Add(1)
	return true, nil
}

func (a *Auth) leave(subject string) {
	a.flows.mu.Lock()
	defer a.flows.mu.Unlock()
	if a.flows.waiting[subject]--; a.flows.waiting[subject] == 0 {
		delete(a.flows.waiting, subject)
	}
	a.background.Done()
}

// awaited returns the flow that the call waits for. Nil: none.
func (c *call) awaited() (*flow, error) {
	switch {
	case c.action == "accept":
		return c.auth.flowOf(flowKey{c.conn.subject, c.state.Refused}, c.state.given())
	case c.action == "" && wayOf(c.req) == byElicitation:
		return c.auth.flowAsked(c.asked()), nil
	}
	return nil, nil
}

// signal tells the client that the call goes on, if it wants to know. Clients give a call
// more time for that.
func (c *call) signal(ctx context.Context, beats int) {
	token := c.req.Params.GetProgressToken()
	if token == nil || c.req.Session == nil {
		return
	}
	// Whether it gets there is the client's concern alone.
	_ = c.req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{
		ProgressToken: token, Progress: float64(beats), Message: "Waiting for the person to connect " + c.auth.config.DisplayName,
	})
}
