package provider

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// ClientCredentials asks for a token for the client itself (RFC 6749, section
// 4.4). scopes may be empty: those of the definition.
func (p *Provider) ClientCredentials(ctx context.Context, scopes []string) (Token, error) {
	return p.grant(ctx, "client credentials grant", url.Values{}, scopes)
}

// deviceGrant is the grant type of RFC 8628, section 3.4.
const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// DeviceToken asks once whether the person has decided on a device authorization
// (RFC 8628, section 3.4). An error whose kind is Pending asks for patience; when
// its code is slow_down, for five seconds more between attempts from then on.
func (p *Provider) DeviceToken(ctx context.Context, deviceCode secret.String) (Token, error) {
	return p.grant(ctx, "device grant", url.Values{"grant_type": {deviceGrant}, "device_code": {deviceCode.Reveal()}}, nil)
}

// GrantTypes returns the grants by which connections may be made. None: the
// definition knows API keys alone.
func (d Definition) GrantTypes() []string {
	if !d.HasOAuth() {
		return nil
	}
	if d.Grants == nil {
		return []string{string(GrantAuthorizationCode)}
	}
	names := make([]string, len(d.Grants))
	for i, grant := range d.Grants {
		names[i] = string(grant)
	}
	return names
}

// grant asks the token endpoint for a token by whatever grant the parameters
// say; client credentials if they do not.
func (p *Provider) grant(ctx context.Context, op string, params url.Values, scopes []string) (Token, error) {
	e, err := p.Endpoints(ctx)
	if err != nil {
		return Token{}, err
	}
	if !params.Has("grant_type") {
		if wanted := p.scopeText(p.ScopesFor(scopes)); wanted != "" {
			params.Set("scope", wanted)
		}
	}
	config := p.oauth(e)
	source := clientcredentials.Config{
		ClientID: config.ClientID, ClientSecret: config.ClientSecret,
		TokenURL: e.TokenURL, AuthStyle: config.Endpoint.AuthStyle, EndpointParams: params,
	}
	ctx, sent := traceSent(p.withClient(ctx))
	t, err := source.Token(ctx)
	return newToken(op, t, err, sent)
}

// DeviceAuthorization is what a person needs to authorize a device (RFC 8628,
// section 3.2).
type DeviceAuthorization struct {
	DeviceCode secret.String // for DeviceToken alone
	UserCode   string        // to be typed in
	// VerificationURL is where the person goes.
	VerificationURL string
	// VerificationURLComplete has the user code in it. May be empty.
	VerificationURLComplete string
	Lifetime                time.Duration // of both codes
	Interval                time.Duration // between attempts
}

// Where RFC 8628, section 3.2, leaves it to the client.
const (
	deviceLifetime = 10 * time.Minute
	deviceInterval = 5 * time.Second
)

// AuthorizeDevice begins a device authorization (RFC 8628, section 3.1). It
// returns ErrNotSupported where the provider has no endpoint for it.
func (p *Provider) AuthorizeDevice(ctx context.Context, scopes []string) (DeviceAuthorization, error) {
	const op = "device authorization"
	e, err := p.Endpoints(ctx)
	if err != nil {
		return DeviceAuthorization{}, err
	}
	if e.DeviceURL == "" {
		return DeviceAuthorization{}, ErrNotSupported
	}
	form := url.Values{"client_id": {p.config.ClientID}}
	if wanted := p.scopeText(p.ScopesFor(scopes)); wanted != "" {
		form.Set("scope", wanted)
	}
	resp, err := p.post(ctx, op, e, e.DeviceURL, form)
	if err != nil {
		return DeviceAuthorization{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return DeviceAuthorization{}, &Error{Op: op, Err: errors.New("the answer broke off")}
	}
	if resp.StatusCode != http.StatusOK {
		return DeviceAuthorization{}, refusal(op, resp, body)
	}
	authorization, err := p.readDeviceAnswer(body)
	if err != nil {
		return DeviceAuthorization{}, &Error{Op: op, Err: err}
	}
	return authorization, nil
}

// readDeviceAnswer checks what a person is going to see.
func (p *Provider) readDeviceAnswer(body []byte) (DeviceAuthorization, error) {
	var answer oauth2.DeviceAuthResponse
	if err := json.Unmarshal(body, &answer); err != nil {
		return DeviceAuthorization{}, errors.New("the answer is not JSON as it should be")
	}
	if strings.ContainsFunc(answer.UserCode, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return DeviceAuthorization{}, errors.New("the user code has characters that nobody can type")
	}
	if answer.DeviceCode == "" || answer.UserCode == "" || len(answer.DeviceCode) > maxToken || len(answer.UserCode) > maxValue {
		return DeviceAuthorization{}, errors.New("the answer lacks a code, or has one that is too long")
	}
	c := &checker{d: p.definition}
	c.url("verification_uri", answer.VerificationURI, true)
	c.url("verification_uri_complete", answer.VerificationURIComplete, false)
	if len(c.problems) > 0 {
		return DeviceAuthorization{}, errors.New(c.problems[0].Path + " of the answer is not the address of a page")
	}
	out := DeviceAuthorization{
		DeviceCode: secret.New(answer.DeviceCode), UserCode: answer.UserCode,
		VerificationURL: answer.VerificationURI, VerificationURLComplete: answer.VerificationURIComplete,
		Lifetime: deviceLifetime, Interval: deviceInterval,
	}
	if !answer.Expiry.IsZero() {
		out.Lifetime = min(time.Until(answer.Expiry).Round(time.Second), 24*time.Hour)
	}
	if answer.Interval > 0 {
		out.Interval = time.Duration(min(answer.Interval, 3600)) * time.Second
	}
	return out, nil
}

// audience is who an assertion is for that is sent to an address: the token
// endpoint's server (RFC 7523, section 3), but only if that is where it is sent. An
// issuer's metadata could name somebody else's token endpoint.
func audience(e Endpoints, address string) string {
	token, err1 := url.Parse(e.TokenURL)
	to, err2 := url.Parse(address)
	if err1 == nil && err2 == nil && token.Host == to.Host {
		return e.TokenURL
	}
	return address
}

// post sends a form to another endpoint than that for tokens, as the client.
func (p *Provider) post(ctx context.Context, op string, e Endpoints, address string, form url.Values) (*http.Response, error) {
	if e.ClientAuth != ClientAuthBasic {
		form.Set("client_id", p.config.ClientID)
	}
	if e.ClientAuth == ClientAuthPost {
		form.Set("client_secret", p.config.ClientSecret.Reveal())
	}
	if p.assertions != nil {
		assertion, err := p.assertions.sign(audience(e, address))
		if err != nil {
			return nil, &Error{Kind: Misconfigured, Op: op, Err: err}
		}
		form.Set("client_assertion_type", assertionType)
		form.Set("client_assertion", assertion)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, &Error{Op: op, Err: errors.New("the endpoint is not a URL")}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if e.ClientAuth == ClientAuthBasic {
		// RFC 6749, section 2.3.1: both are form-encoded first.
		req.SetBasicAuth(url.QueryEscape(p.config.ClientID), url.QueryEscape(p.config.ClientSecret.Reveal()))
	}
	client := http.Client{Transport: p.plain.Transport, Timeout: p.plain.Timeout, CheckRedirect: noRedirects}
	resp, err := client.Do(req)
	if err != nil {
		return nil, &Error{Op: op, Err: cause(err)}
	}
	return resp, nil
}

// refusal reads an answer that is an error (RFC 6749, section 5.2).
func refusal(op string, resp *http.Response, body []byte) *Error {
	fields, _ := answerFields(body)
	code := SanitizeCode(text(fields["error"]))
	return &Error{Kind: classify(code, resp.StatusCode), Op: op, Code: code, Status: resp.StatusCode, RetryAfter: parseRetryAfter(resp.Header)}
}
