package mcpauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/tokenvault/tokenvault/vault/client"
)

// failureLife is for how long a call that is made again is told what the one before came
// to.
const failureLife = time.Minute

// failure is what the calls of a flow have come to.
type failure struct {
	err     error
	at      time.Time
	refused int64 // that of the flow's key
}

// cameBack hears of a browser that is back at this machine. Where it brings nothing, the
// calls that wait say so, and later ones get another link.
func (a *Auth) cameBack(subject string, back client.Return) {
	err := a.cameToNothing(back)
	if err == nil {
		return
	}
	a.flows.mu.Lock()
	defer a.flows.mu.Unlock()
	for _, f := range a.flows.of[subject] {
		f.fail(err)
	}
}

// cameToNothing says so to the model. Nil: something has, or may still.
func (a *Auth) cameToNothing(back client.Return) error {
	e, ok := errors.AsType[*client.Error](back.Err)
	switch {
	case !ok:
		return nil
	case e.Code == codes.Unavailable, e.Code == codes.DeadlineExceeded: // the page can be loaded again
		return nil
	case e.Reason == "ACCESS_DENIED":
		return a.declined("the person has declined there")
	case e.Reason == "CALLER_FORBIDDEN":
		a.log.ErrorContext(a.ctx, "mcpauth: the vault lets nobody connect through this server: its caller needs ConfirmConnection, too", slog.Any("cause", e))
		return a.operator()
	case strings.HasPrefix(e.Reason, "SESSION_"):
		return fmt.Errorf("%s was not connected: the link does not work any more. Call this tool again for another", a.config.DisplayName)
	}
	a.log.WarnContext(a.ctx, "mcpauth: a person came back without a connection", slog.Any("cause", e))
	return fmt.Errorf("%s was not connected: something went wrong, and the person's browser says what. Call this tool again for another link", a.config.DisplayName)
}

// setCancel has the flow end when it fails. False: it has.
func (f *flow) setCancel(cancel context.CancelFunc) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cancel = cancel
	return f.failure == nil
}

// fail ends a flow, unless it has ended.
func (f *flow) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failure = err; f.cancel != nil {
		f.cancel()
	}
}

// failed returns what the flow has come to. Nil: it goes on, or has not failed.
func (f *flow) failed() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.connected {
		return nil
	}
	return f.failure
}

// keepFailure is for the calls that clients of revision 2025-11-25 make again when they
// are told that the person is done.
func (f *flows) keepFailure(gone *flow) {
	maps.DeleteFunc(f.failures, func(_ asked, kept failure) bool { return !f.now().Before(kept.at.Add(failureLife)) })
	err := gone.failed()
	if err == nil {
		return
	}
	gone.mu.Lock()
	defer gone.mu.Unlock()
	for by := range gone.asked {
		f.failures[by] = failure{err: err, at: f.now(), refused: gone.key.refused}
	}
}

// lastFailure returns what a call has come to that is made again. Nil: nothing, or the
// person has connected since.
func (c *call) lastFailure(ctx context.Context) error {
	kept, ok := c.auth.flows.takeFailure(c.asked())
	if !ok {
		return nil
	}
	if now, err := c.conn.Credentials(ctx); err == nil && now.Generation != kept.refused {
		return nil
	}
	return kept.err
}

func (f *flows) takeFailure(by asked) (kept failure, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kept, ok = f.failures[by]
	delete(f.failures, by)
	return kept, ok && f.now().Before(kept.at.Add(failureLife))
}
