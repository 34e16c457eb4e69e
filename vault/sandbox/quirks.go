package sandbox

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Quirk is one way in which token endpoints differ from RFC 6749, as real ones
// and what stands before them do. Several can be had together; of those that
// concern the same thing one holds.
type Quirk string

// The quirks of refusals, and of answers that come from something else than the
// token endpoint.
const (
	ErrorWith200      Quirk = "error-with-200"       // refusals have status 200 and names of their own, as at GitHub
	ErrorOKFalse      Quirk = "error-ok-false"       // refusals have status 200 and ok: false, as at Slack; tokens come with ok: true
	HTMLWith200       Quirk = "html-with-200"        // a page with status 200; nothing is looked at
	HTMLWith502       Quirk = "html-with-502"        // a proxy's error page; nothing is looked at
	HTMLWith502Issued Quirk = "html-with-502-issued" // a proxy's error page; tokens were issued all the same
)

// The quirks of the body's form.
const (
	FormEncoded     Quirk = "form-encoded"       // a form instead of JSON, as at GitHub unless JSON is asked for
	FormAsText      Quirk = "form-as-text"       // a form that calls itself text/plain
	FormAsHTML      Quirk = "form-as-html"       // a form that calls itself text/html, as PHP does by default
	JSONAsText      Quirk = "json-as-text"       // JSON that calls itself text/plain
	JSONAsHTML      Quirk = "json-as-html"       // JSON that calls itself text/html
	JSONAsForm      Quirk = "json-as-form"       // JSON that calls itself a form
	NoContentType   Quirk = "no-content-type"    // no Content-Type
	ByteOrderMark   Quirk = "bom"                // a byte order mark before the body
	BlankLines      Quirk = "blank-lines"        // blank lines before and after the body
	TrailingGarbage Quirk = "trailing-garbage"   // more after the body
	Gzip            Quirk = "gzip"               // compressed, whether or not that was asked for
	Chunked         Quirk = "chunked"            // sent in small pieces, with no Content-Length
	CutOff          Quirk = "cut-off"            // the body ends early, past the tokens; all seems well with the transfer
	Truncated       Quirk = "truncated"          // the connection closes early, past the tokens
	TruncatedEarly  Quirk = "truncated-early"    // the connection closes past the access token, before the refresh token
	Duplicated      Quirk = "duplicated-members" // members are there twice
)

// The quirks of expires_in.
const (
	ExpiresInText      Quirk = "expires-in-text"       // "3600"
	ExpiresInEmpty     Quirk = "expires-in-empty"      // ""
	ExpiresInFloat     Quirk = "expires-in-float"      // 3600.0
	ExpiresInFloatText Quirk = "expires-in-float-text" // "3600.0"
	ExpiresInExponent  Quirk = "expires-in-exponent"   // 3.6e3
	ExpiresInNull      Quirk = "expires-in-null"
	ExpiresInZero      Quirk = "expires-in-zero"
	ExpiresInNegative  Quirk = "expires-in-negative" // -1, for a token that does not end
	ExpiresInMissing   Quirk = "expires-in-missing"
)

// The quirks of the other members.
const (
	TokenTypeMissing Quirk = "token-type-missing"
	TokenTypeLower   Quirk = "token-type-lower" // bearer
	ScopeNull        Quirk = "scope-null"
	ScopeMissing     Quirk = "scope-missing"
	ScopeList        Quirk = "scope-list"        // ["a", "b"]
	ScopeCommas      Quirk = "scope-commas"      // "a,b"
	ScopeCommaSpaces Quirk = "scope-comma-space" // "a, b"
	ErrorNull        Quirk = "error-null"        // error: null beside the tokens
	ErrorEmpty       Quirk = "error-empty"       // error: "" beside the tokens

	// RefreshTokenLeftOut: a refresh brings no refresh token; the one at hand
	// stays good.
	RefreshTokenLeftOut Quirk = "refresh-token-left-out"
	// RefreshTokenNull and RefreshTokenEmpty: the same, said in other ways.
	RefreshTokenNull  Quirk = "refresh-token-null"
	RefreshTokenEmpty Quirk = "refresh-token-empty"
	// RefreshTokenFirstConsentOnly: a consent brings no refresh token while that
	// of an earlier one is good, as at Google.
	RefreshTokenFirstConsentOnly Quirk = "refresh-token-first-consent-only"
	// MetadataLeftOut: a refresh brings none of Config.TokenMetadata.
	MetadataLeftOut Quirk = "metadata-left-out"
)

// Quirks returns all quirks there are.
func Quirks() []Quirk {
	return []Quirk{
		ErrorWith200, ErrorOKFalse, HTMLWith200, HTMLWith502, HTMLWith502Issued,
		FormEncoded, FormAsText, FormAsHTML, JSONAsText, JSONAsHTML, JSONAsForm, NoContentType,
		ByteOrderMark, BlankLines, TrailingGarbage, Gzip, Chunked, CutOff, Truncated, TruncatedEarly, Duplicated,
		ExpiresInText, ExpiresInEmpty, ExpiresInFloat, ExpiresInFloatText, ExpiresInExponent, ExpiresInNull, ExpiresInZero,
		ExpiresInNegative, ExpiresInMissing,
		TokenTypeMissing, TokenTypeLower, ScopeNull, ScopeMissing, ScopeList, ScopeCommas, ScopeCommaSpaces, ErrorNull, ErrorEmpty,
		RefreshTokenLeftOut, RefreshTokenNull, RefreshTokenEmpty, RefreshTokenFirstConsentOnly, MetadataLeftOut,
	}
}

func checkQuirks(quirks []Quirk) error {
	for _, q := range quirks {
		if !slices.Contains(Quirks(), q) {
			return fmt.Errorf("there is no quirk %q; there are %s", q, quirkNames())
		}
	}
	return nil
}

func quirkNames() string {
	var names []string
	for _, q := range Quirks() {
		names = append(names, string(q))
	}
	return strings.Join(names, ", ")
}

// quirkSet is the quirks of one answer.
type quirkSet []Quirk

// quirksKey is the context key of a request's quirks.
type quirksKey struct{}

func withQuirks(ctx context.Context, quirks []Quirk) context.Context {
	return context.WithValue(ctx, quirksKey{}, quirks)
}

// quirksOf returns the quirks that are always there and those of the request.
func quirksOf(ctx context.Context, always []Quirk) quirkSet {
	own, _ := ctx.Value(quirksKey{}).([]Quirk)
	return append(slices.Clone(quirkSet(always)), own...)
}

func (s quirkSet) has(any ...Quirk) bool {
	return slices.ContainsFunc(any, func(q Quirk) bool { return slices.Contains(s, q) })
}

// keepsRefreshToken reports whether a refresh brings no other refresh token.
func (s quirkSet) keepsRefreshToken() bool {
	return s.has(RefreshTokenLeftOut, RefreshTokenNull, RefreshTokenEmpty)
}
