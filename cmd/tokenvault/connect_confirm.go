package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/client"
)

// Where the vault binds flows by confirmation, the person comes back to an
// application, which says who they are. With --wait this terminal is the application.

// begin calls Connect, and has the person come back to this terminal if the vault
// wants them to come back, and no other place is named.
func (c *connectCommand) begin(ctx context.Context, vault *client.Client) (resp *tokenvaultv1.ConnectResponse, err error) {
	advice := fmt.Sprintf("this vault has the application confirm who comes back from the provider: name its page with --return-url, or run `%s` to confirm in this terminal (INVALID_RETURN_URL)", c.againWaiting)
	if c.wait {
		c.terminal = vault.ListenForReturn(c.name.subject, c.comeBack)
		resp, err = c.terminal.Begin(ctx, &c.req)
		advice = "this vault does not let people come back to a terminal: add \"http://127.0.0.1/*\" to return_urls in its configuration, or name a page of an application with --return-url (INVALID_RETURN_URL)"
	} else {
		resp, err = vault.Vault().Connect(ctx, &c.req)
	}
	if c.req.GetReturnUrl() == "" && reasonOf(err) == "INVALID_RETURN_URL" {
		return nil, errors.New(advice)
	}
	return resp, err
}

// comeBack is told of a browser that has come back. That of a connection is told by the
// watch.
func (c *connectCommand) comeBack(back client.Return) {
	e, failed := errors.AsType[*client.Error](back.Err)
	switch {
	case !failed:
	case back.LinkWorks:
		fmt.Fprintf(c.log, "The browser came back without access (%q). Still waiting: the link can be opened again.\n", e.Reason)
	default:
		select {
		case c.failed <- e.Unwrap():
		default: // the first is enough
		}
	}
}

// closeTerminal lets a browser that has come back read its answer.
func (c *connectCommand) closeTerminal() {
	if c.terminal != nil {
		_ = c.terminal.Close() // at the end of the command it ends anyway
	}
}

// endWait ends a wait when the link has ended, or a confirmation has come to nothing.
func (c *connectCommand) endWait(ctx context.Context, linkEnds time.Time, stop context.CancelCauseFunc) {
	end := time.NewTimer(time.Until(linkEnds))
	defer end.Stop()
	select {
	case <-ctx.Done():
	case <-end.C:
		stop(nil)
	case err := <-c.failed:
		stop(err)
	}
}
