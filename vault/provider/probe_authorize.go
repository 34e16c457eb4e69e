package provider

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
)

// The probe opens two authorization requests as a browser without a session
// would: one that is in order, and one with a redirect URI that nobody can have
// registered. Where the provider treats both alike, it does not say before a
// person has signed in.

// elsewhere is a redirect URI that nobody can have registered (RFC 2606).
const elsewhere = "https://tokenvault-test.invalid/callback"

// authorization opens authorization requests.
func (b *probe) authorization(ctx context.Context, e Endpoints) {
	observed, seen := observe(ctx)
	own, err := b.open(observed, e, b.p.config.RedirectURL)
	switch {
	case err != nil:
		b.find(CheckAuthorize, VerdictProblem, e.AuthorizeURL, "%s", reasonFor(err))
		return
	case isMissing(own.status):
		b.find(CheckAuthorize, VerdictProblem, e.AuthorizeURL, "there is no page (status %d): correct authorize_url", own.status)
		return
	case own.status >= http.StatusInternalServerError:
		b.find(CheckAuthorize, VerdictProblem, e.AuthorizeURL, "is not in order at the moment (status %d): try again later", own.status)
		return
	}
	b.find(CheckAuthorize, VerdictOK, e.AuthorizeURL, "answers%s", seen)
	other, err := b.open(ctx, e, elsewhere)
	b.redirect(own, other, err == nil)
}

// redirect judges our authorization request by comparison with the other one.
func (b *probe) redirect(own, other page, comparable bool) {
	uri := b.p.config.RedirectURL
	switch {
	case own.sentBack:
		b.sentBack(own.code)
	case own.status == http.StatusTooManyRequests:
		b.find(CheckRedirect, VerdictUnknown, uri, "the provider has had too many requests (status 429): try again later")
	case own.isRefusal() && own.namesRedirect && !own.namesClient:
		b.find(CheckRedirect, VerdictProblem, uri, "the provider does not take this redirect URI: register it there exactly as it is here, to the last slash")
	case own.isRefusal() && own.namesClient && !own.namesRedirect:
		b.find(CheckRedirect, VerdictProblem, uri, "the provider does not know the client: compare client_id with what it shows")
	case own.isRefusal() && (own.status == http.StatusUnauthorized || own.status == http.StatusForbidden) && !own.namesClient:
		b.find(CheckRedirect, VerdictUnknown, uri, "the provider shows its page to browsers only (status %d): register this redirect URI exactly, and connect once", own.status)
	case own.isRefusal():
		b.find(CheckRedirect, VerdictProblem, uri, "the provider refuses the authorization request (status %d): compare client_id and scopes with what it shows, and register this redirect URI exactly", own.status)
	case comparable && other.isRefusal() && other.status != http.StatusTooManyRequests:
		b.find(CheckRedirect, VerdictOK, uri, "is registered: the provider refuses another one, and goes on with this")
	default:
		b.find(CheckRedirect, VerdictUnknown, uri, "the provider does not say before a person has signed in: register this exactly, and connect once")
	}
}

// sentBack judges an error that came back to the redirect URI, which is right
// then.
func (b *probe) sentBack(code string) {
	uri := b.p.config.RedirectURL
	switch code {
	case "", "access_denied", "login_required", "interaction_required", "consent_required", "account_selection_required":
		b.find(CheckRedirect, VerdictOK, uri, "is registered: the provider comes back to it")
	case "invalid_scope":
		b.find(CheckRedirect, VerdictProblem, uri, "is registered, but the provider does not take the scopes (invalid_scope): correct scopes")
	case "unauthorized_client":
		b.find(CheckRedirect, VerdictProblem, uri, "is registered, but the client may not use the authorization code grant (unauthorized_client): allow it that at the provider")
	case "temporarily_unavailable", "server_error":
		b.find(CheckRedirect, VerdictUnknown, uri, "is registered, but the provider is not in order at the moment (%s)", code)
	default:
		b.find(CheckRedirect, VerdictProblem, uri, "is registered, but the provider refuses the authorization request (%s): compare scopes, pkce and authorize_params with its documentation", code)
	}
}

// page is where an authorization request has led.
type page struct {
	status   int
	sentBack bool   // it leads back to the redirect URI
	code     string // with sentBack: the error
	errorURL bool   // its address calls it an error page
	// What a refusal speaks of.
	namesRedirect, namesClient bool
}

func (p page) isRefusal() bool {
	return !p.sentBack && (p.status >= http.StatusBadRequest || p.errorURL)
}

// Limits of a look at an authorization endpoint.
const (
	maxHops = 5
	maxPage = 64 << 10 // bytes that are looked through
)

// open makes an authorization request as a browser without a session does.
func (b *probe) open(ctx context.Context, e Endpoints, redirectURI string) (page, error) {
	const op = "authorization request"
	config := b.p.oauth(e)
	config.RedirectURL = redirectURI
	address := config.AuthCodeURL(madeUp().Reveal(), b.p.authorizeOptions(AuthorizationRequest{Verifier: NewVerifier()})...)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return page{}, &Error{Kind: Misconfigured, Op: op, Err: err}
	}
	req.Header.Set("Accept", "text/html")
	jar, err := cookiejar.New(nil)
	if err != nil {
		return page{}, &Error{Op: op, Err: err}
	}
	client := http.Client{Transport: b.p.plain.Transport, Timeout: b.p.plain.Timeout, Jar: jar, CheckRedirect: b.followPage(redirectURI)}
	resp, err := client.Do(req)
	if err != nil {
		return page{}, &Error{Op: op, Err: cause(err)}
	}
	defer resp.Body.Close()
	return look(resp, redirectURI), nil
}

// followPage follows what a provider does before its first page, but not back to
// the vault.
func (b *probe) followPage(redirectURI string) func(*http.Request, []*http.Request) error {
	return func(next *http.Request, via []*http.Request) error {
		c := &checker{d: b.p.definition}
		c.scheme("", next.URL)
		if len(via) > maxHops || len(c.problems) > 0 || leadsTo(next.URL, redirectURI) {
			return http.ErrUseLastResponse
		}
		return nil
	}
}

// leadsTo reports whether a URL is the redirect URI, with whatever query.
func leadsTo(u *url.URL, redirectURI string) bool {
	to, err := url.Parse(redirectURI)
	return err == nil && u.Scheme == to.Scheme && u.Host == to.Host && u.Path == to.Path
}

func look(resp *http.Response, redirectURI string) page {
	seen := page{status: resp.StatusCode, errorURL: callsItselfError(resp.Request.URL)}
	if location, err := resp.Location(); err == nil {
		seen.errorURL = callsItselfError(location)
		if leadsTo(location, redirectURI) {
			seen.sentBack, seen.code = true, SanitizeCode(location.Query().Get("error"))
		}
	}
	if seen.isRefusal() {
		// Of what was sent, no more than these words is kept.
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxPage))
		text = bytes.ToLower(text)
		seen.namesRedirect = containsAny(text, "redirect_uri", "redirect uri", "redirect url", "redirect_url", "callback url")
		seen.namesClient = containsAny(text, "client_id", "client id", "invalid_client", "unknown client", "client not found", "unauthorized_client")
	}
	return seen
}

func containsAny(text []byte, words ...string) bool {
	for _, word := range words {
		if bytes.Contains(text, []byte(word)) {
			return true
		}
	}
	return false
}

// callsItselfError reports whether an address is that of an error page.
func callsItselfError(u *url.URL) bool {
	for _, part := range strings.Split(strings.ToLower(u.Path), "/") {
		if part == "error" || part == "oauth_error" || part == "oauth-error" {
			return true
		}
	}
	query := u.Query()
	return query.Has("error") || query.Has("authError")
}
