package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/loopback"
)

// HTTPClient returns a client for a provider's API that acts for a subject. It adds the
// headers with the credentials to each request, and takes URLs without a host as paths
// below the API's base URL for that account. A path with ".." is refused, encoded or not.
//
// The headers go to the host of that base URL (the same scheme, host and port), and to
// hosts of [WithAPIHosts] over https. A request to another is refused. A redirect
// to another, such as to a file's own place, is followed without them.
//
// When the API answers 401, the client asks the vault for another token, has it refresh
// this one if there is none, at most once a minute, and sends the request again with what
// there is then. It does so only where the body can be sent again (GetBody), and returns
// the answer as it is otherwise.
//
// Errors are those of [Client.Credentials], in a *url.Error. The client is safe for
// concurrent use.
func (c *Client) HTTPClient(subject, provider string, options ...RequestOption) *http.Client {
	return &http.Client{Transport: &transport{client: c, request: newRequest(subject, provider, options)}}
}

// transport adds credentials to requests.
type transport struct {
	client  *Client
	request *request
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	a, err := t.client.answer(req.Context(), t.request)
	if err != nil {
		return nil, refuse(req, err)
	}
	target, err := t.target(req.URL, a.credentials)
	if err != nil {
		return nil, refuse(req, err)
	}
	if !t.isAPI(target, a.credentials) {
		if req.Response != nil { // a redirect has led here
			return t.client.api.RoundTrip(req)
		}
		return nil, refuse(req, t.elsewhere(target, a.credentials))
	}
	resp, err := t.send(req, req.Body, target, a.credentials)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || !isReplayable(req) {
		return resp, err
	}
	return t.again(req, resp, a.credentials)
}

// again answers a 401 with another try, if there is another token.
func (t *transport) again(req *http.Request, refused *http.Response, used *Credentials) (*http.Response, error) {
	fresh := t.client.renew(req.Context(), t.request, used.Generation)
	if fresh == nil {
		return refused, nil
	}
	target, err := t.target(req.URL, fresh)
	if err != nil || !t.isAPI(target, fresh) {
		return refused, nil
	}
	var body io.ReadCloser
	if req.GetBody != nil {
		if body, err = req.GetBody(); err != nil {
			return refused, nil
		}
	}
	_, _ = io.CopyN(io.Discard, refused.Body, 64<<10) // so that the connection serves again
	_ = refused.Body.Close()
	return t.send(req, body, target, fresh)
}

// send sends a request with the credentials. Nothing of them gets into the request that
// the http.Client has, which it would repeat to wherever a redirect leads.
func (t *transport) send(req *http.Request, body io.ReadCloser, target *url.URL, creds *Credentials) (*http.Response, error) {
	out := req.Clone(req.Context())
	out.URL, out.Body = target, body
	for header, value := range creds.Headers.Reveal() {
		out.Header.Set(header, value)
	}
	resp, err := t.client.api.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	// The http.Client reads a redirect as one from the URL that it knows, without a host.
	if where := resp.Header.Get("Location"); where != "" && req.URL.Host == "" {
		if next, err := target.Parse(where); err == nil {
			resp.Header.Set("Location", next.String())
		}
	}
	// Whoever looks at the answer's request sees where it went, and no credentials.
	resp.Request = req.WithContext(req.Context())
	resp.Request.URL = target
	return resp, nil
}

// target returns where a request goes.
func (t *transport) target(u *url.URL, creds *Credentials) (*url.URL, error) {
	if u.Scheme != "" || u.Host != "" || u.Opaque != "" {
		return u, nil
	}
	base, err := url.Parse(creds.APIBaseURL)
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("client: there is no host in %q, and the vault knows no API base URL of provider %s: write the whole URL, or have api_base_url added to the vault's configuration", u.Path, t.request.provider)
	}
	if goesUp(u.Path) {
		return nil, fmt.Errorf("client: the path %q has a \"..\" in it, and may lead out of %s, to another account: write it without", u.Path, creds.APIBaseURL)
	}
	base.Path = cmp.Or(base.Path, "/") // JoinPath puts none before a path that is alone
	whole := base.JoinPath(u.EscapedPath())
	whole.RawQuery, whole.Fragment = u.RawQuery, u.Fragment
	return whole, nil
}

// goesUp reports whether a path without its encoding has a part that servers take for the
// one above: as RFC 3986 has it (section 5.2.4), behind a backslash, or with a parameter.
func goesUp(path string) bool {
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '\\' })
	return slices.ContainsFunc(parts, func(part string) bool {
		name, _, _ := strings.Cut(part, ";")
		return name == ".."
	})
}

// isAPI reports whether credentials may go there. Plaintext does for loopback alone.
func (t *transport) isAPI(u *url.URL, creds *Credentials) bool {
	host := strings.ToLower(u.Hostname())
	isSafe := u.Scheme == "https" || u.Scheme == "http" && loopback.IsHost(host)
	if isSafe && slices.Contains(t.request.hosts, host) {
		return true
	}
	base, err := url.Parse(creds.APIBaseURL)
	return isSafe && err == nil && base.Host != "" && base.Scheme == u.Scheme && strings.ToLower(base.Hostname()) == host && portOf(base) == portOf(u)
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	default:
		return "80"
	}
}

func (t *transport) elsewhere(u *url.URL, creds *Credentials) error {
	const advice = "name the host with WithAPIHosts if it is the provider's too, or use another http.Client"
	if creds.APIBaseURL == "" {
		return fmt.Errorf("client: the vault does not know where the API of provider %s is, so its credentials do not go to %s://%s: %s", t.request.provider, u.Scheme, u.Host, advice)
	}
	return fmt.Errorf("client: the credentials of provider %s are for %s, and do not go to %s://%s: %s", t.request.provider, creds.APIBaseURL, u.Scheme, u.Host, advice)
}

// refuse is how a RoundTripper returns an error: with the body closed.
func refuse(req *http.Request, err error) error {
	if req.Body != nil {
		_ = req.Body.Close()
	}
	return err
}

func isReplayable(req *http.Request) bool {
	return req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
}

// renewPause is between two refreshes of a token that is refused.
const renewPause = time.Minute

// renew returns credentials of another generation than those that the provider has
// refused: such as there are by now, or such as a refresh brings. Nil: there are none.
func (c *Client) renew(ctx context.Context, r *request, refused int64) *Credentials {
	s, leave, err := c.cache.enterRenewal(ctx, r.key)
	if err != nil {
		return nil
	}
	defer leave()
	if a, err := c.answer(ctx, r); err != nil || a.credentials.Generation != refused {
		return credentialsIn(a)
	}
	if fresh := c.reread(ctx, r, s, refused); fresh != nil || r.subject == "" {
		return fresh
	}
	if !s.renewed.IsZero() && c.now().Sub(s.renewed) < renewPause {
		return nil
	}
	s.renewed = c.now()
	_, err = c.vault.RefreshConnection(ctx, &tokenvaultv1.RefreshConnectionRequest{Subject: r.subject, Provider: r.provider, Label: r.label})
	if err != nil {
		return nil
	}
	return c.reread(ctx, r, s, refused)
}

func credentialsIn(a *answer) *Credentials {
	if a == nil {
		return nil
	}
	return a.credentials
}

// reread asks the vault for credentials of another generation.
func (c *Client) reread(ctx context.Context, r *request, s *slot, refused int64) *Credentials {
	c.cache.drop(s, refused)
	a, err := c.answer(ctx, r)
	if err != nil || a.credentials.Generation == refused {
		return nil
	}
	return a.credentials
}

// enterRenewal has one at a time see to a refused token.
func (c *cache) enterRenewal(ctx context.Context, k key) (s *slot, leave func(), err error) {
	c.mu.Lock()
	s = c.slot(k)
	c.mu.Unlock()
	select {
	case s.renewing <- struct{}{}:
		return s, func() { <-s.renewing }, nil
	case <-ctx.Done():
		return nil, nil, errors.New("client: nobody waits any more")
	}
}
