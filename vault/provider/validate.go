package provider

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"time"
)

// FieldError says what is wrong with a field of a definition.
type FieldError struct {
	Path    string // such as after_connect.capture.dc.pattern
	Problem string // what is wrong and what to write
}

// Limits of a definition.
const (
	maxScopes   = 100
	maxMetadata = 32
)

// checker gathers problems.
type checker struct {
	d        Definition
	problems []FieldError
}

func (c *checker) fail(path, format string, args ...any) {
	c.problems = append(c.problems, FieldError{Path: path, Problem: fmt.Sprintf(format, args...)})
}

// Validate returns what is wrong with a definition that a provider is to be made
// of. None: nothing.
func (d Definition) Validate() []FieldError {
	c := &checker{d: d}
	c.endpoint("authorize_url", d.AuthorizeURL, true)
	c.endpoint("token_url", d.TokenURL, true)
	c.endpoint("revoke_url", d.RevokeURL, false)
	c.endpoint("issuer", d.Issuer, false)
	switch d.ClientAuth {
	case ClientAuthBasic, ClientAuthPost, ClientAuthNone:
	default:
		c.fail("client_auth", "write basic (HTTP basic authentication), post (id and secret in the body) or none (public client), as the provider's documentation says")
	}
	switch d.PKCE {
	case "", PKCES256, PKCENone:
	default:
		c.fail("pkce", "write S256, or none for a provider that does not take a code challenge")
	}
	if d.ClientAuth == ClientAuthNone && d.PKCE == PKCENone {
		c.fail("pkce", "must be S256 with client_auth: none, since nothing else protects the code")
	}
	c.scopes()
	c.authorizeParams()
	c.refresh()
	c.afterConnect()
	c.apiBaseURL()
	return c.problems
}

// refresh checks that the times make sense.
func (c *checker) refresh() {
	for _, field := range []struct {
		name  string
		value time.Duration
		least time.Duration
	}{
		{"lifetime", c.d.Refresh.Lifetime, time.Minute},
		{"grace", c.d.Refresh.Grace, time.Second},
		{"idle_limit", c.d.Refresh.IdleLimit, time.Hour},
	} {
		if field.value != 0 && field.value < field.least {
			c.fail("refresh."+field.name, "must be at least %v: write a duration with its unit, such as 30s, 10m or 2160h", field.least)
		}
	}
}

// endpoint checks a URL that the vault calls or sends browsers to.
func (c *checker) endpoint(path, raw string, required bool) {
	if raw == "" {
		if required {
			c.fail(path, "is missing: write the URL from the provider's documentation")
		}
		return
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		c.fail(path, "is not a URL: write one such as https://id.example.com/token, without user name or fragment")
		return
	}
	c.scheme(path, u)
}

func (c *checker) scheme(path string, u *url.URL) {
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && isLoopback(u.Hostname()):
		if !c.d.AllowPrivateNetwork {
			c.fail(path, "http on loopback needs allow_private_network: true")
		}
	default:
		c.fail(path, "must begin with https://")
	}
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

func (c *checker) scopes() {
	if len(c.d.Scopes) > maxScopes {
		c.fail("scopes", "at most %d", maxScopes)
	}
	for _, scope := range c.d.Scopes {
		if !scopeToken.MatchString(scope) {
			c.fail("scopes", "each is printable ASCII without spaces, quotes and backslashes; write a list, [one, two]")
			return
		}
	}
}

// scopeToken is RFC 6749, section 3.3.
var scopeToken = regexp.MustCompile(`\A[\x21\x23-\x5B\x5D-\x7E]{1,256}\z`)

// reserved are the parameters that the vault sets itself.
func reserved() []string {
	return []string{
		"client_id", "client_secret", "redirect_uri", "response_type", "response_mode", "state", "scope",
		"code_challenge", "code_challenge_method", "login_hint", "request", "request_uri",
	}
}

func (c *checker) authorizeParams() {
	for _, name := range slices.Sorted(maps.Keys(c.d.AuthorizeParams)) {
		if slices.Contains(reserved(), strings.ToLower(name)) {
			c.fail("authorize_params."+name, "is set by the vault itself; take it out")
		}
	}
}

func (c *checker) afterConnect() {
	a := c.d.AfterConnect
	if a == nil {
		if c.d.Account != (AccountPointers{}) {
			c.fail("account", "needs after_connect, the document that it points into")
		}
		return
	}
	c.endpoint("after_connect.url", a.URL, true)
	if a.Authorization != "" && strings.Count(a.Authorization, "{access_token}") != 1 {
		c.fail("after_connect.authorization", "must hold {access_token} once, such as: Bearer {access_token}")
	}
	if strings.ContainsAny(a.Authorization, "\r\n") {
		c.fail("after_connect.authorization", "must be one line")
	}
	if len(a.Capture) > maxMetadata {
		c.fail("after_connect.capture", "at most %d values", maxMetadata)
	}
	for _, name := range slices.Sorted(maps.Keys(a.Capture)) {
		path := "after_connect.capture." + name
		if !captureName.MatchString(name) {
			c.fail(path, "a name has 1 to 64 of a-z, A-Z, 0-9 and '_'")
		}
		c.pointer(path+".pointer", a.Capture[name].Pointer, true)
		if _, err := regexp.Compile(a.Capture[name].Pattern); err != nil {
			c.fail(path+".pattern", "is not a regular expression (RE2 syntax)")
		}
	}
	c.pointer("account.id", c.d.Account.ID, false)
	c.pointer("account.name", c.d.Account.Name, false)
	c.pointer("account.email", c.d.Account.Email, false)
}

var captureName = regexp.MustCompile(`\A[A-Za-z0-9_]{1,64}\z`)

func (c *checker) pointer(path, pointer string, required bool) {
	if pointer == "" && !required {
		return
	}
	if !jsonPointer.MatchString(pointer) {
		c.fail(path, "is not a JSON pointer: write a path such as /login/email")
	}
}

// jsonPointer is RFC 6901, section 3, without the pointer to the whole document.
var jsonPointer = regexp.MustCompile(`\A(/([^~/]|~[01])*)+\z`)

// apiBaseURL checks the template. A captured value in a host name decides where
// callers send their tokens, so what it can be must be limited to one label of a
// host name.
func (c *checker) apiBaseURL() {
	raw := c.d.APIBaseURL
	if raw == "" {
		return
	}
	t, err := parseTemplate(raw)
	if err != nil {
		c.fail("api_base_url", "%v", err)
		return
	}
	for _, name := range t.names {
		var capture Capture
		if c.d.AfterConnect != nil {
			capture = c.d.AfterConnect.Capture[name]
		}
		path := "after_connect.capture." + name
		switch {
		case !capture.Required:
			c.fail("api_base_url", "{%s} must be captured: add after_connect.capture.%s with required: true", name, name)
		case capture.Pattern == "" || !onlyHostLabel(capture.Pattern):
			c.fail(path+".pattern", "forms a part of api_base_url, so it must be anchored and match only a-z, A-Z, 0-9 and '-', such as ^[a-z]+[0-9]+$")
		}
	}
	u, err := url.Parse(t.fill(func(string) string { return "x" }))
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.RawQuery != "" {
		c.fail("api_base_url", "is not a URL: write one such as https://api.example.com/v1")
		return
	}
	c.scheme("api_base_url", u)
}

// onlyHostLabel reports whether all that a pattern matches is made of characters
// of a host name's label. It looks at the parsed expression, so that nothing in
// it is overlooked.
func onlyHostLabel(pattern string) bool {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return false
	}
	re = re.Simplify()
	if re.Op != syntax.OpConcat || len(re.Sub) < 3 {
		return false
	}
	first, last := re.Sub[0].Op, re.Sub[len(re.Sub)-1]
	if first != syntax.OpBeginText || last.Op != syntax.OpEndText {
		return false
	}
	for _, sub := range re.Sub[1 : len(re.Sub)-1] {
		if !onlyLabelRunes(sub) {
			return false
		}
	}
	return true
}

func onlyLabelRunes(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpLiteral:
		return re.Flags&syntax.FoldCase == 0 && !slices.ContainsFunc(re.Rune, func(r rune) bool { return !isLabelRune(r) })
	case syntax.OpCharClass:
		for i := 0; i+1 < len(re.Rune); i += 2 {
			for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
				if !isLabelRune(r) {
					return false
				}
			}
		}
		return true
	case syntax.OpEmptyMatch:
		return true
	case syntax.OpCapture, syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat, syntax.OpConcat, syntax.OpAlternate:
		return !slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool { return !onlyLabelRunes(sub) })
	default:
		return false // any character, anchors in the middle, word boundaries
	}
}

func isLabelRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-'
}
