package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/client"
)

func newConnect() *cobra.Command {
	c := connectCommand{failed: make(chan error, 1)}
	cmd := &cobra.Command{
		Use:     "connect SUBJECT PROVIDER",
		GroupID: "use",
		Short:   "Begin a flow and print the link for the person's browser",
		Long: `Begins an OAuth flow and prints the link that the person opens in a browser. The
link works for 10 minutes, for one finished flow. Hand it to that person only. With
--wait it waits until the person has finished, and prints whose account it is.

Where the vault binds flows by confirmation, --wait has the browser come back to this
terminal, and confirms that SUBJECT is who sits before it; the link is to be opened on
this machine then. return_urls in the vault's configuration must have
"http://127.0.0.1/*". With --return-url an application confirms.

With --device it shows a code in place of a link, for a person at this terminal to
enter on any device, and waits. With --client-credentials it connects at once.`,
		Example: "  tokenvault connect --wait alice mailchimp\n  tokenvault connect --param shop=acme alice shopify",
		Args:    connectionArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			c.req.Subject, c.req.Provider = args[0], args[1]
			if err := c.grant.set(&c.req); err != nil {
				return err
			}
			c.name = nameOf(c.req.Subject, c.req.Provider, c.req.Label)
			c.again = commandLine(cmd, args)
			c.againWaiting = hint("connect", "--wait") + strings.TrimPrefix(c.again, hint("connect"))
			c.out, c.log = cmd.OutOrStdout(), cmd.ErrOrStderr()
			c.wait = (c.wait || c.grant.device) && !c.grant.clientCredentials
			if c.wait {
				return c.client.dialClient(cmd.Context(), c.connectAndWait)
			}
			return c.client.dialClient(cmd.Context(), func(ctx context.Context, vault *client.Client) error {
				ctx, cancel := context.WithTimeout(ctx, callPatience)
				defer cancel()
				_, err := c.connect(ctx, vault)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&c.wait, "wait", false, "wait until the person has finished, and print the account")
	cmd.Flags().StringVar(&c.req.Label, "label", "", "tells several connections of a subject at a provider apart (default \"default\")")
	cmd.Flags().StringSliceVar(&c.req.Scopes, "scope", nil, "a `scope` to ask for; may be given several times (default: those of the configuration)")
	cmd.Flags().StringVar(&c.req.ReturnUrl, "return-url", "", "where the browser goes at the end, a `URL` that the configuration allows")
	cmd.Flags().StringVar(&c.req.LoginHint, "login-hint", "", "the `account` that the person is expected to use")
	c.grant.add(cmd)
	c.client.add(cmd)
	return cmd
}

type connectCommand struct {
	client   clientFlags
	req      tokenvaultv1.ConnectRequest
	grant    grantFlags
	name     connectionName
	wait     bool
	terminal *client.ReturnListener // nil: nobody comes back to it
	failed   chan error             // of the first confirmation that came to nothing
	again    string                 // the command line itself
	// againWaiting is the command line with --wait.
	againWaiting string
	out, log     io.Writer
}

// connect begins a flow and prints its link.
func (c *connectCommand) connect(ctx context.Context, vault *client.Client) (*tokenvaultv1.ConnectResponse, error) {
	if !c.client.json && !c.grant.clientCredentials {
		c.tellWhatIsThere(ctx, vault.Vault())
	}
	resp, err := c.begin(ctx, vault)
	if err != nil {
		return nil, err
	}
	if c.client.json {
		return resp, printJSON(c.out, resp)
	}
	_, err = io.WriteString(c.out, c.describe(resp))
	return resp, err
}

// tellWhatIsThere is a courtesy: where it cannot tell, it says nothing.
func (c *connectCommand) tellWhatIsThere(ctx context.Context, vault tokenvaultv1.VaultServiceClient) {
	resp, err := vault.GetConnection(ctx, &tokenvaultv1.GetConnectionRequest{Subject: c.req.GetSubject(), Provider: c.req.GetProvider(), Label: c.req.GetLabel()})
	if err != nil {
		return
	}
	switch conn := resp.GetConnection(); conn.GetStatus() {
	case tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_CONNECTED, tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_EXPIRING_SOON:
		fmt.Fprintf(c.out, "%v is connected already, as %s, and stays so until the %s is used to connect it anew.\n", c.name, describeAccount(conn.GetAccount()), c.grant.handedOver())
	}
}

// connectAndWait begins to watch before there is a link, so that nothing that the
// person does is missed.
func (c *connectCommand) connectAndWait(ctx context.Context, vault *client.Client) error {
	waiting, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer c.closeTerminal()
	var link *tokenvaultv1.ConnectResponse
	watch := &tokenvaultv1.WatchConnectionsRequest{Subject: c.req.GetSubject(), Provider: c.req.GetProvider()}
	err := c.client.follow(waiting, vault.Vault(), watch, c.log, func(change *tokenvaultv1.WatchConnectionsResponse) (err error) {
		if link == nil {
			if link, err = c.connect(ctx, vault); err != nil {
				return err
			}
			go c.endWait(waiting, link.GetExpireTime().AsTime(), stop)
		}
		return c.see(change)
	})
	switch {
	case ctx.Err() != nil && link != nil:
		return fmt.Errorf("no longer waiting; the %s works until %s", c.grant.handedOver(), showTime(link.GetExpireTime().AsTime()))
	case waiting.Err() != nil && link != nil:
		if cause := context.Cause(waiting); !errors.Is(cause, context.Canceled) {
			return cause
		}
		return c.inVain()
	case reasonOf(err) == "CALLER_FORBIDDEN" && link == nil:
		return errors.New("this caller may not Connect and WatchConnections, which --wait and --device need: widen its rpcs, or leave them out (CALLER_FORBIDDEN)")
	}
	return err
}

// inVain is the end of a wait. The vault does not tell a person who declined from
// one who did nothing.
func (c *connectCommand) inVain() error {
	return fmt.Errorf("nothing has come of the %s: the person has declined, or nobody has finished in time. Run `%s` for a new one", c.grant.handedOver(), c.again)
}

// see ends the watch when the person has finished.
func (c *connectCommand) see(change *tokenvaultv1.WatchConnectionsResponse) error {
	conn := change.GetConnection()
	if change.GetEvent() != tokenvaultv1.ConnectionEvent_CONNECTION_EVENT_CONNECTED || conn.GetLabel() != c.name.label {
		return nil
	}
	if c.client.json {
		if err := printJSON(c.out, conn); err != nil {
			return err
		}
	} else if _, err := fmt.Fprintf(c.out, "%v is connected, as %s.\n", c.name, describeAccount(conn.GetAccount())); err != nil {
		return err
	}
	return errSeenEnough
}
