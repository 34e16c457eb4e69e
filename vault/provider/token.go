package provider

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// maxToken is the longest token, in bytes.
const maxToken = 16 << 10

// Token is what a token endpoint has issued (RFC 6749, section 5.1).
type Token struct {
	AccessToken  secret.String
	RefreshToken secret.String // may be empty
	TokenType    string        // never empty
	Lifetime     time.Duration // from when it was issued; 0: does not expire, or not said
	// RefreshLifetime is the life of RefreshToken from when it was issued. 0: it
	// does not expire, or not said.
	RefreshLifetime time.Duration
	Scopes          []string // nil: not said
	// Captured is what the answer told besides, as the definition's token_capture
	// and account ask for, of values that have their form. [Provider.Capture]
	// says whether something is missing; so it has to be kept with the token.
	Captured Captured
	// Partial: the answer broke off, and what is not here may have been in it.
	Partial bool
}

// Exchange redeems an authorization code (RFC 6749, section 4.1.3). A code can
// be redeemed once: whatever the error, the same code is of no more use.
func (p *Provider) Exchange(ctx context.Context, code, verifier secret.String) (Token, error) {
	e, err := p.Endpoints(ctx)
	if err != nil {
		return Token{}, err
	}
	var options []oauth2.AuthCodeOption
	if p.usesPKCE() {
		options = append(options, oauth2.VerifierOption(verifier.Reveal()))
	}
	ctx, sent := traceSent(p.withClient(ctx))
	t, err := p.oauth(e).Exchange(ctx, code.Reveal(), options...)
	return newToken("code exchange", t, err, sent)
}

// Refresh uses a refresh token (RFC 6749, section 6). Where the provider rotates
// refresh tokens, the old one is of no more use afterwards, whatever the error.
func (p *Provider) Refresh(ctx context.Context, refreshToken secret.String) (Token, error) {
	e, err := p.Endpoints(ctx)
	if err != nil {
		return Token{}, err
	}
	ctx, sent := traceSent(p.withClient(ctx))
	t, err := p.oauth(e).TokenSource(ctx, &oauth2.Token{RefreshToken: refreshToken.Reveal()}).Token()
	return newToken("refresh", t, err, sent)
}

// traceSent has sent tell, afterwards, whether a request has left for the
// provider. Without a connection it has not; once its headers are written, nobody
// here can know what became of it.
func traceSent(ctx context.Context) (traced context.Context, sent *atomic.Bool) {
	sent = new(atomic.Bool)
	sent.Store(true) // a transport that does not trace may have sent it
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:      func(string) { sent.Store(false) },
		WroteHeaders: func() { sent.Store(true) },
	}), sent
}

func (p *Provider) withClient(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, p.tokens)
}

func newToken(op string, t *oauth2.Token, err error, sent *atomic.Bool) (Token, error) {
	if err != nil {
		e := tokenError(op, err)
		e.Unanswered = sent.Load() && e.Kind == Transient && (e.Status == 0 || mayHaveActed(e.Status))
		return Token{}, e
	}
	for _, text := range []string{t.AccessToken, t.RefreshToken} {
		if len(text) > maxToken || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return Token{}, &Error{Op: op, Unanswered: true, Err: errors.New("the token is longer than 16 KiB or holds characters that tokens cannot have")}
		}
	}
	out := Token{
		AccessToken:  secret.New(t.AccessToken),
		RefreshToken: secret.New(t.RefreshToken),
		TokenType:    t.TokenType,
	}
	if seconds, ok := t.Extra("expires_in").(float64); ok {
		out.Lifetime = time.Duration(seconds) * time.Second
	}
	if seconds, ok := t.Extra("refresh_expires_in").(float64); ok && t.RefreshToken != "" {
		out.RefreshLifetime = time.Duration(seconds) * time.Second
	}
	out.Captured = capturedOf(t)
	out.Partial, _ = t.Extra("partial").(bool)
	if scope, ok := t.Extra("scope").(string); ok && scope != "" {
		out.Scopes = strings.Fields(scope)
	}
	return out, nil
}

// tokenError makes our error of x/oauth2's, of which nothing else is kept.
func tokenError(op string, err error) *Error {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) {
		code := SanitizeCode(refused.ErrorCode)
		e := &Error{Op: op, Code: code}
		if refused.Response != nil {
			e.Status = refused.Response.StatusCode
			e.RetryAfter = parseRetryAfter(refused.Response.Header)
		}
		e.Kind = classify(code, e.Status)
		return e
	}
	return &Error{Op: op, Err: cause(err)}
}

// cause returns the inner error of an HTTP client's, without the URL.
func cause(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return errors.New("the answer could not be read")
}

// maxPause is the longest Retry-After that is believed.
const maxPause = 24 * time.Hour

// parseRetryAfter reads Retry-After (RFC 9110, section 10.2.3): seconds or a
// date. 0: there is none that can be read.
func parseRetryAfter(h http.Header) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, maxPause)
	}
	if at, err := http.ParseTime(value); err == nil {
		// By the clock that the date was made with, where the answer tells it.
		now, err := http.ParseTime(h.Get("Date"))
		if err != nil {
			now = time.Now()
		}
		return min(max(at.Sub(now), 0), maxPause)
	}
	return 0
}
