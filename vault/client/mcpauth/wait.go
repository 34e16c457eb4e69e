package mcpauth

import (
	"context"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// await waits for a person who has said that they are at it, for the time that a call may
// take. It returns nil also when that is over.
func (c *call) await(ctx context.Context) error {
	f, err := c.awaited()
	if f == nil || err != nil {
		return err
	}
	if !c.auth.enter() {
		return errClosed
	}
	defer c.auth.background.Done()
	limit := time.NewTimer(c.auth.config.Wait)
	defer limit.Stop()
	beat := time.NewTicker(c.auth.beat)
	defer beat.Stop()
	for beats := 1; ; beats++ {
		select {
		case <-f.done: // with Close, too
			return nil
		case <-limit.C:
			return nil
		case <-beat.C:
			c.signal(ctx, beats)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// enter has Close wait for the caller, who calls background.Done. False: it is closed.
func (a *Auth) enter() bool {
	a.flows.mu.Lock()
	defer a.flows.mu.Unlock()
	if !a.flows.closed {
		a.background.Add(1)
	}
	return !a.flows.closed
}

// awaited returns the flow that the call waits for. Nil: none.
func (c *call) awaited() (*flow, error) {
	switch {
	case c.action == "accept":
		return c.auth.findFlow(flowKey{c.conn.Subject, c.state.Refused}, c.state.link(), 0, false)
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
