package client

import (
	"cmp"
	"context"
	"time"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// ConnectOptions say more about a flow. The zero value is a good start.
type ConnectOptions struct {
	// Label names one of several connections. Empty: "default".
	Label string
	// Scopes to ask for. Empty: those of the vault's configuration.
	Scopes []string
	// ReturnURL is where the browser goes in the end. Empty: that of [WithReturnURL], or
	// a page of the vault's. Vaults with binding: confirm need one; on the person's own
	// machine, a [ReturnListener] is one.
	ReturnURL string
	// LoginHint is the account that the person is expected to use.
	LoginHint string
	// Params are values for the provider's variables, such as the name of a shop.
	Params map[string]string
}

// Link is what a person opens in a browser to connect an account.
type Link struct {
	// URL is for that person alone.
	URL string
	// Session is the id of the flow. Treat it like the link.
	Session string
	// ExpireTime is when the link ends: in 10 minutes.
	ExpireTime time.Time
	// Local says that the link leads to a [ReturnListener] of this program: it works on
	// this machine alone, and while the program runs.
	Local bool
}

// Connect begins a flow, and changes nothing about a connection that is there: only a
// finished flow does.
func (c *Client) Connect(ctx context.Context, subject, provider string, o ConnectOptions) (*Link, error) {
	resp, err := c.vault.Connect(ctx, c.connectRequest(subject, provider, o))
	if err != nil {
		return nil, c.fail(name{subject, provider, o.Label}, err)
	}
	return linkOf(resp), nil
}

func (c *Client) connectRequest(subject, provider string, o ConnectOptions) *tokenvaultv1.ConnectRequest {
	return &tokenvaultv1.ConnectRequest{
		Subject: subject, Provider: provider, Label: o.Label, Scopes: o.Scopes, LoginHint: o.LoginHint, Params: o.Params,
		ReturnUrl: cmp.Or(o.ReturnURL, c.returnURL),
	}
}

func linkOf(resp *tokenvaultv1.ConnectResponse) *Link {
	return &Link{URL: resp.GetConnectUrl(), Session: resp.GetSession(), ExpireTime: resp.GetExpireTime().AsTime()}
}

// Confirm finishes a flow of a vault with binding: confirm, when the person is back at
// the return URL. confirmation is from its query. subject is whom the application has
// signed in in that browser, and never from the query: that is what keeps one person
// from connecting another's account.
func (c *Client) Confirm(ctx context.Context, confirmation, subject string) (*tokenvaultv1.Connection, error) {
	resp, err := c.vault.ConfirmConnection(ctx, &tokenvaultv1.ConfirmConnectionRequest{Confirmation: confirmation, Subject: subject})
	if err != nil {
		return nil, c.fail(name{subject: subject}, err)
	}
	return resp.GetConnection(), nil
}

// PortalLink returns a link to the portal, where a person sees and changes their own
// connections. It works once, for 5 minutes, and whoever opens it is taken for the
// subject: redirect the browser in which the application has signed them in to it at
// once. returnURL is where the portal's link back leads; empty: there is none.
func (c *Client) PortalLink(ctx context.Context, subject, returnURL string) (secret.String, error) {
	resp, err := c.vault.CreatePortalSession(ctx, &tokenvaultv1.CreatePortalSessionRequest{Subject: subject, ReturnUrl: returnURL})
	if err != nil {
		return secret.String{}, c.fail(name{subject: subject}, err)
	}
	return secret.New(resp.GetPortalUrl()), nil
}

// Pauses between questions when no watch tells of changes.
const (
	firstLook = time.Second
	lastLook  = 10 * time.Second
)

// WaitConnected returns nil as soon as there are credentials for a subject at a provider,
// at once if there are. It waits through what passes or what the person can mend, until
// ctx ends, whose error it returns; any other error it returns at once.
func (c *Client) WaitConnected(ctx context.Context, subject, provider string, options ...RequestOption) error {
	return c.waitFor(ctx, newRequest(subject, provider, options), 0)
}

// WaitReplaced is [Client.WaitConnected] where the provider refuses credentials that the
// vault still gives: it waits for some of another generation than those. A disconnect
// ends it with a [*ConnectRequired], since the links that people have end with that.
func (c *Client) WaitReplaced(ctx context.Context, subject, provider string, refused int64, options ...RequestOption) error {
	return c.waitFor(ctx, newRequest(subject, provider, options), refused)
}

// waitFor waits for credentials of another generation than the refused ones. 0: of any.
func (c *Client) waitFor(ctx context.Context, r *request, refused int64) error {
	for pause := firstLook; ; pause = min(2*pause, lastLook) {
		news, stop := c.cache.news(r.name) // before it asks: none is missed
		a, err := c.answer(ctx, r)
		switch reasonOf(err) {
		case "NOT_CONNECTED", "REAUTHORIZATION_REQUIRED", "SCOPES_MISSING", "PROVIDER_UNAVAILABLE":
			if refused != 0 && reasonOf(err) == "NOT_CONNECTED" {
				stop()
				return err
			}
			err = wait(ctx, news, c.lookAgain(pause))
		default:
			if err != nil || refused == 0 || a.credentials.Generation != refused {
				stop()
				return err
			}
			err = wait(ctx, news, c.lookAgain(pause))
			c.cache.dropKey(r.key, refused) // so that it asks the vault
		}
		stop()
		if err != nil {
			return err
		}
	}
}

// lookAgain is when to ask again, whatever the watch tells: a caller may see less than it
// may use.
func (c *Client) lookAgain(pause time.Duration) time.Duration {
	if c.cache.isWatched() {
		return untold
	}
	return pause
}

// wait waits for news, but not for longer.
func wait(ctx context.Context, news <-chan struct{}, longest time.Duration) error {
	timer := time.NewTimer(longest)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-news:
	case <-timer.C:
	}
	return nil
}
