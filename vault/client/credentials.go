package client

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"google.golang.org/protobuf/types/known/durationpb"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// Credentials are what a program needs to call a provider's API now. They are shared:
// nobody may change what is in them.
type Credentials struct {
	// AccessToken, TokenType (RFC 6749, section 7.1) and Scopes, as far as the provider
	// has told, are there where a person has connected an account.
	AccessToken secret.String
	TokenType   string
	Scopes      []string
	// APIKey serves where there is no such connection that works.
	APIKey secret.String
	// Headers are to be sent to the provider's API, and nowhere else.
	Headers secret.Map
	// ExpireTime is when they stop working. Zero: they do not.
	ExpireTime time.Time
	// APIBaseURL is where the provider's API is for this account. Empty: the vault does
	// not know.
	APIBaseURL string
	// Metadata is what the provider has said of the connection (Mailchimp: dc).
	Metadata map[string]string
	// Account is who the connection is at the provider.
	Account Account
	// Generation counts every stored change of the connection's credentials.
	Generation int64
}

// Account is who a connection is at the provider. Empty fields are not known.
type Account struct {
	ID, Name, Email string
}

// Credentials returns what works now for a subject at a provider: from memory, mostly.
// ctx bounds how long it waits, and not the call that others wait for too.
//
// Errors: [*ConnectRequired], and [*Error] for everything else.
func (c *Client) Credentials(ctx context.Context, subject, provider string, options ...RequestOption) (*Credentials, error) {
	a, err := c.answer(ctx, newRequest(subject, provider, options))
	if err != nil {
		return nil, err
	}
	return a.credentials, nil
}

// TokenSource returns a source of tokens that work, as libraries want it. Asking it
// costs some hundred nanoseconds: nothing has to keep tokens on top of it. oauth2.NewClient
// does, until they end, and forever where they do not: use [Client.HTTPClient] or
// oauth2.Transport instead, which learn of a disconnect.
//
// ctx is that of the calls that the source makes. The source is safe for concurrent use;
// its errors are those of [Client.Credentials].
func (c *Client) TokenSource(ctx context.Context, subject, provider string, options ...RequestOption) oauth2.TokenSource {
	return &tokenSource{ctx: ctx, client: c, request: newRequest(subject, provider, options)}
}

type tokenSource struct {
	ctx     context.Context
	client  *Client
	request *request
}

// Token implements oauth2.TokenSource. The token is shared: nobody may change it.
func (s *tokenSource) Token() (*oauth2.Token, error) {
	a, err := s.client.answer(s.ctx, s.request)
	if err != nil {
		return nil, err
	}
	if a.token == nil {
		return nil, &Error{
			Subject: s.request.subject, Provider: s.request.provider, Label: s.request.label,
			Message: "this provider takes its API key in headers of its own: use HTTPClient, or the Headers of Credentials",
		}
	}
	return a.token, nil
}

// defaultMinTTL is the vault's own.
const defaultMinTTL = time.Minute

// request says which credentials are wanted.
type request struct {
	name
	key          key
	minTTL       time.Duration // 0: defaultMinTTL
	scopes       []string      // sorted
	subjectToken secret.String
	hosts        []string
}

func newRequest(subject, provider string, options []RequestOption) *request {
	r := &request{name: name{subject: subject, provider: provider}}
	for _, option := range options {
		option(r)
	}
	r.label = cmp.Or(r.label, "default")
	r.key = key{name: r.name, minTTL: r.minTTL, scopes: strings.Join(r.scopes, " ")}
	if !r.subjectToken.IsZero() {
		r.key.subjectToken = sha256.Sum256([]byte(r.subjectToken.Reveal()))
	}
	return r
}

// answer returns credentials that are believed, or asks for them, once for all who are
// waiting.
func (c *Client) answer(ctx context.Context, r *request) (*answer, error) {
	if a := c.cache.get(r.key, c.now()); a != nil {
		return a, nil
	}
	c.watch.begin(c)
	return untilServed(ctx, func() (*answer, error) {
		return c.cache.ask(ctx, r.key, c.now, func(ctx context.Context) (*answer, error) { return c.askVault(ctx, r) })
	})
}

func (c *Client) askVault(ctx context.Context, r *request) (*answer, error) {
	ask := &tokenvaultv1.GetCredentialsRequest{
		Subject: r.subject, Provider: r.provider, Label: r.label, RequiredScopes: r.scopes, SubjectToken: r.subjectToken.Reveal(),
	}
	if r.minTTL != 0 {
		ask.MinTtl = durationpb.New(r.minTTL)
	}
	resp, err := c.vault.GetCredentials(ctx, ask)
	if err != nil {
		return nil, c.fail(r.name, err)
	}
	now := c.now()
	a := &answer{credentials: credentialsOf(resp), at: now, end: now.Add(longest)}
	a.token = tokenOf(a.credentials)
	if end := a.credentials.ExpireTime; !end.IsZero() {
		a.end = earlier(a.end, lastUse(now, end, cmp.Or(r.minTTL, defaultMinTTL)))
	}
	if end := endOf(r.subjectToken); !end.IsZero() {
		a.end = earlier(a.end, end)
	}
	return a, nil
}

// lastUse is when a token that ends is used for the last time: with minTTL left, or half
// of what it has left where there is none better to be had.
func lastUse(now, end time.Time, minTTL time.Duration) time.Time {
	if last := end.Add(-minTTL); last.After(now) {
		return last
	}
	return now.Add(end.Sub(now) / 2)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func credentialsOf(resp *tokenvaultv1.GetCredentialsResponse) *Credentials {
	c := &Credentials{
		AccessToken: secret.New(resp.GetOauth2().GetAccessToken()),
		TokenType:   resp.GetOauth2().GetTokenType(),
		Scopes:      resp.GetOauth2().GetScopes(),
		APIKey:      secret.New(resp.GetApiKey().GetKey()),
		Headers:     secret.NewMap(resp.GetHeaders()),
		APIBaseURL:  resp.GetApiBaseUrl(),
		Metadata:    resp.GetMetadata(),
		Account:     Account{ID: resp.GetAccount().GetId(), Name: resp.GetAccount().GetName(), Email: resp.GetAccount().GetEmail()},
		Generation:  resp.GetGeneration(),
	}
	if resp.GetExpireTime() != nil {
		c.ExpireTime = resp.GetExpireTime().AsTime()
	}
	return c
}

// tokenOf returns the credentials as oauth2 has them. A key is a token as far as it is
// sent like one, in Authorization. Nil: it is not.
func tokenOf(c *Credentials) *oauth2.Token {
	if !c.AccessToken.IsZero() {
		return &oauth2.Token{AccessToken: c.AccessToken.Reveal(), TokenType: c.TokenType, Expiry: c.ExpireTime}
	}
	scheme, value, ok := strings.Cut(c.Headers.Reveal()["Authorization"], " ")
	if !ok {
		return nil
	}
	return &oauth2.Token{AccessToken: value, TokenType: scheme, Expiry: c.ExpireTime}
}

// name names a connection.
type name struct{ subject, provider, label string }

// String implements fmt.Stringer.
func (n name) String() string { return fmt.Sprintf("%s at %s (%s)", n.subject, n.provider, n.label) }
