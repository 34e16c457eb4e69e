package provider

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// Check is what a [Finding] is about. Most are named for the field of the
// definition to look at.
type Check string

// The checks.
const (
	CheckIssuer       Check = "issuer"        // the issuer's metadata
	CheckAuthorize    Check = "authorize_url" // the authorization endpoint answers
	CheckRedirect     Check = "redirect_uri"  // it takes our client and redirect URI
	CheckToken        Check = "token_url"     // the token endpoint answers
	CheckClient       Check = "client"        // it accepts our client
	CheckRevoke       Check = "revoke_url"
	CheckDevice       Check = "device_url"
	CheckAfterConnect Check = "after_connect.url"
	CheckVariables    Check = "variables" // there are values for all of them
	CheckAPIKey       Check = "api_key"
)

// Verdict is what came of a check.
type Verdict string

// The verdicts.
const (
	VerdictOK      Verdict = "ok"
	VerdictProblem Verdict = "problem" // the text says what to do
	VerdictUnknown Verdict = "unknown" // it cannot be told, or not from here
)

// Finding is what a [Provider.Probe] has found out in one respect. It holds no
// secret, and of what the provider has sent nothing but statuses, checked error
// codes and checked addresses.
type Finding struct {
	Check   Check   `json:"check"`
	Verdict Verdict `json:"verdict"`
	// Address is what was asked, without its query. May be empty.
	Address string `json:"address,omitempty"`
	// Text says for people what was found and, where something is wrong, what to
	// do.
	Text string `json:"text"`
}

// Probe finds out whether the provider can be used, as far as that can be told
// without a person: it reaches the endpoints and shows them authorization
// requests, codes and tokens that are made up. The provider may note refused
// requests; nothing that anybody uses is changed.
func (p *Provider) Probe(ctx context.Context) []Finding {
	b := &probe{p: p}
	switch {
	case !p.HasOAuth():
		b.find(CheckAPIKey, VerdictUnknown, "", "accounts are used with API keys alone: there is nothing to test without one")
		return b.findings
	case p.unbound:
		b.find(CheckVariables, VerdictProblem, "", "the provider's addresses have variables without a default: give them values")
		return b.findings
	}
	e, ok := b.issuer(ctx)
	if !ok {
		return b.findings
	}
	if e.AuthorizeURL != "" {
		b.authorization(ctx, e)
	}
	b.client(ctx, e)
	if e.RevokeURL != "" {
		b.revocation(ctx, e)
	}
	if e.DeviceURL != "" {
		b.device(ctx, e)
	}
	b.afterConnect(ctx)
	return b.findings
}

// probe gathers findings.
type probe struct {
	p        *Provider
	findings []Finding
}

func (b *probe) find(check Check, verdict Verdict, address, text string, args ...any) {
	address, _, _ = strings.Cut(address, "?")
	b.findings = append(b.findings, Finding{Check: check, Verdict: verdict, Address: address, Text: fmt.Sprintf(text, args...)})
}

// madeUp is a code, token or secret that no provider has issued.
func madeUp() secret.String { return secret.New("tokenvault-test-" + rand.Text()) }

// issuer compares the issuer's metadata with the definition. Without endpoints,
// ok is false.
func (b *probe) issuer(ctx context.Context) (e Endpoints, ok bool) {
	d := b.p.definition
	if d.Issuer == "" {
		return d.endpoints(), true
	}
	m, place, err := b.metadata(ctx)
	switch {
	case err == nil && !d.Discovers():
		b.compare(m, place)
		return d.endpoints(), true
	case err == nil:
		if e, err = b.p.withMetadata(m); err == nil {
			b.find(CheckIssuer, VerdictOK, place, "the metadata is that of the issuer, and names the endpoints")
			return e, true
		}
		b.find(CheckIssuer, VerdictProblem, place, "%s", reasonFor(err))
	case StatusOf(err) == http.StatusNotFound && d.Discovers():
		b.find(CheckIssuer, VerdictProblem, place, "there is no metadata here, nor where RFC 8414 has it: correct issuer, or write authorize_url and token_url")
	case d.Discovers():
		b.find(CheckIssuer, VerdictProblem, place, "the metadata cannot be had: %s", reasonFor(err))
	case StatusOf(err) == http.StatusNotFound:
		b.find(CheckIssuer, VerdictOK, place, "there is no metadata, and none is needed: the definition has the endpoints")
	default:
		b.find(CheckIssuer, VerdictUnknown, place, "the metadata cannot be had, and is not needed: %s", reasonFor(err))
	}
	return d.endpoints(), !d.Discovers()
}

// metadata asks for the issuer's metadata, whatever is known of it already. place
// is where it is or, with an error, where that came from.
func (b *probe) metadata(ctx context.Context) (m metadata, place string, err error) {
	issuer := b.p.definition.Issuer
	places, err := wellKnown(issuer)
	if err != nil {
		return metadata{}, issuer, &Error{Kind: Misconfigured, Op: "discovery", Err: err}
	}
	place = places[0]
	for i, candidate := range places {
		m, failed := b.p.discovery.fetchFrom(ctx, candidate)
		if failed == nil {
			if failed = b.p.discovery.check(m, issuer); failed == nil {
				return m, candidate, nil
			}
			failed = b.p.tellIssuer(m, failed)
		}
		if i == 0 || StatusOf(err) == http.StatusNotFound && StatusOf(failed) != http.StatusNotFound {
			place, err = candidate, failed
		}
	}
	return metadata{}, place, err
}

// tellIssuer adds to an error whose metadata it was, if that can be an issuer.
func (p *Provider) tellIssuer(m metadata, err error) error {
	c := &checker{d: p.definition}
	c.url("issuer", m.Issuer, true)
	if m.Issuer == p.definition.Issuer || len(c.problems) > 0 || len(m.Issuer) > maxValue {
		return err
	}
	return &Error{Kind: Misconfigured, Op: "discovery", Err: fmt.Errorf("it is that of another issuer; if that is the one that is meant, write issuer: %s", m.Issuer)}
}

// compare looks for what metadata says otherwise than the definition does.
func (b *probe) compare(m metadata, place string) {
	d := b.p.definition
	for _, field := range []struct{ name, own, theirs string }{
		{"authorize_url", d.AuthorizeURL, m.AuthorizeURL},
		{"token_url", d.TokenURL, m.TokenURL},
		{"revoke_url", d.RevokeURL, m.RevokeURL},
		{"device_url", d.DeviceURL, m.DeviceURL},
	} {
		if field.own != "" && field.theirs != "" && field.own != field.theirs {
			b.find(CheckIssuer, VerdictUnknown, place, "the metadata has another %s: %s", field.name, field.theirs)
			return
		}
	}
	b.find(CheckIssuer, VerdictOK, place, "the metadata is that of the issuer, and has the same endpoints")
}

// revocation shows the revocation endpoint a token that is made up: that is as
// good as revoked (RFC 7009, section 2.2).
func (b *probe) revocation(ctx context.Context, e Endpoints) {
	ctx, seen := observe(ctx)
	err := b.p.revoke(ctx, e, madeUp(), "refresh_token")
	switch status := StatusOf(err); {
	case err == nil:
		b.find(CheckRevoke, VerdictOK, e.RevokeURL, "answers as RFC 7009 wants it%s", seen)
	case status == 0:
		b.find(CheckRevoke, VerdictProblem, e.RevokeURL, "%s", reasonFor(err))
	case status == http.StatusMethodNotAllowed, status == http.StatusGone, isRedirect(status):
		b.find(CheckRevoke, VerdictProblem, e.RevokeURL, "is no revocation endpoint (status %d): correct revoke_url", status)
	case status == http.StatusUnauthorized:
		b.find(CheckRevoke, VerdictUnknown, e.RevokeURL, "does not accept the client (status 401): it may once what is said of the client is put right")
	case status >= http.StatusInternalServerError:
		b.find(CheckRevoke, VerdictProblem, e.RevokeURL, "is not in order at the moment (status %d): try again later", status)
	default:
		b.find(CheckRevoke, VerdictUnknown, e.RevokeURL, "refuses a token that is made up (status %d), which RFC 7009 would not: whether it revokes real ones cannot be told", status)
	}
}

// device begins a device authorization, which ends by itself.
func (b *probe) device(ctx context.Context, e Endpoints) {
	ctx, seen := observe(ctx)
	_, err := b.p.AuthorizeDevice(ctx, nil)
	status, code := StatusOf(err), CodeOf(err)
	switch {
	case err == nil:
		b.find(CheckDevice, VerdictOK, e.DeviceURL, "gives codes for devices to this client%s", seen)
	case status == 0:
		b.find(CheckDevice, VerdictProblem, e.DeviceURL, "%s", reasonFor(err))
	case code == "" && (isMissing(status) || isRedirect(status)):
		b.find(CheckDevice, VerdictProblem, e.DeviceURL, "is no device authorization endpoint (status %d): correct device_url", status)
	default:
		b.find(CheckDevice, VerdictUnknown, e.DeviceURL, "gives no codes for devices to this client (%s): that matters for `connect --device` only", describeRefusal(status, code))
	}
}

// afterConnect reaches what is looked up with each new token, without one.
func (b *probe) afterConnect(ctx context.Context) {
	after := b.p.definition.AfterConnect
	if after == nil {
		return
	}
	if t, err := parseTemplate(after.URL); err != nil || len(t.names) > 0 {
		return // its address is known once somebody has connected
	}
	ctx, seen := observe(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, after.URL, nil)
	if err != nil {
		return
	}
	client := http.Client{Transport: b.p.plain.Transport, Timeout: b.p.plain.Timeout, CheckRedirect: noRedirects}
	resp, err := client.Do(req)
	if err != nil {
		b.find(CheckAfterConnect, VerdictProblem, after.URL, "%s", reasonFor(&Error{Op: "look-up", Err: cause(err)}))
		return
	}
	if err := resp.Body.Close(); err != nil {
		return
	}
	b.find(CheckAfterConnect, VerdictOK, after.URL, "is reached (status %d without a token)%s", resp.StatusCode, seen)
}

func isMissing(status int) bool {
	return status == http.StatusNotFound || status == http.StatusMethodNotAllowed || status == http.StatusGone
}

func isRedirect(status int) bool { return status >= 300 && status <= 399 }

func describeRefusal(status int, code string) string {
	if code == "" {
		return fmt.Sprintf("status %d", status)
	}
	return fmt.Sprintf("%s, status %d", code, status)
}

// reasonFor words why a request came to nothing, and what to do.
func reasonFor(err error) string {
	var e *Error
	if !errors.As(err, &e) {
		return "the request could not be made"
	}
	switch {
	case e.Status != 0:
		return "the answer has status " + fmt.Sprint(e.Status)
	case e.Err != nil:
		return reasonForCause(e.Err)
	default:
		return "the answer could not be read"
	}
}
