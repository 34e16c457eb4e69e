package provider

import (
	"net/url"
	"strings"

	"github.com/tokenvault/tokenvault/vault/loopback"
)

// place is where in a URL something stands.
type place int

const (
	wholeOrigin place = iota // scheme, host and port
	wholeHost
	partOfHost
	inPath
)

// url checks a URL that the vault calls, sends browsers to, or tells callers.
// What stands in braces decides who is sent secrets: what it can be must be
// limited to what cannot lead to somebody else's host.
func (c *checker) url(path, raw string, required bool) {
	if raw == "" {
		if required {
			c.fail(path, "is missing: write the URL from the provider's documentation")
		}
		return
	}
	t, err := parseTemplate(raw)
	if err != nil {
		c.fail(path, "%v", err)
		return
	}
	for i, name := range t.names {
		c.part(path, name, t.place(i))
	}
	if !t.endsInDomain() {
		c.fail(path, "after the last part in braces, the host name must go on with two labels that are always the same: {shop}.example.com")
		return
	}
	filled := t.fill(func(string) string { return "x" })
	if len(t.names) > 0 && t.place(0) == wholeOrigin {
		filled = "https://" + filled
	}
	u, err := url.Parse(filled)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || path == "api_base_url" && u.RawQuery != "" {
		c.fail(path, "is not a URL: write one such as https://id.example.com/token, without user name or fragment")
		return
	}
	c.scheme(path, u)
}

func (c *checker) scheme(path string, u *url.URL) {
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && loopback.IsHost(u.Hostname()):
		if !c.d.AllowPrivateNetwork {
			c.fail(path, "http on loopback needs allow_private_network: true")
		}
	default:
		c.fail(path, "must begin with https://")
	}
}

// place returns where the i-th name stands.
func (t template) place(i int) place {
	before := strings.Join(t.literals[:i+1], "x")
	if before == "" {
		return wholeOrigin
	}
	_, host, ok := strings.Cut(before, "://")
	switch {
	case !ok || strings.ContainsAny(host, "/?"):
		return inPath
	case host == "" && (t.literals[i+1] == "" && len(t.names) == i+1 || strings.HasPrefix(t.literals[i+1], "/")):
		return wholeHost
	default:
		return partOfHost
	}
}

// endsInDomain reports whether the host name, where it has parts in braces, goes
// on behind the last one with a dot and two labels: else those who choose the
// part could choose a domain of their own.
func (t template) endsInDomain() bool {
	last := -1
	for i := range t.names {
		if t.place(i) == partOfHost {
			last = i
		}
	}
	if last < 0 {
		return true
	}
	rest, _, _ := strings.Cut(t.literals[last+1], "/")
	_, domain, ok := strings.Cut(rest, ".")
	first, second, two := strings.Cut(domain, ".")
	return ok && two && first != "" && second != ""
}

// part checks what stands in braces: a variable, a captured value, or a group of
// the API key's pattern.
func (c *checker) part(path, name string, at place) {
	if v, ok := c.d.Variables[name]; ok {
		c.limited("variables."+name+".pattern", path, v.Pattern, at)
		return
	}
	if path == "after_connect.url" && c.d.TokenCapture[name].Required {
		c.limited("token_capture."+name+".pattern", path, c.d.TokenCapture[name].Pattern, at)
		return
	}
	if path != "api_base_url" {
		c.fail(path, "{%[1]s} is not known: add variables.%[1]s with a pattern", name)
		return
	}
	if c.d.HasOAuth() {
		where, capture := "token_capture.", c.d.TokenCapture[name]
		if a := c.d.AfterConnect; a != nil {
			if found, ok := a.Capture[name]; ok {
				where, capture = "after_connect.capture.", found
			}
		}
		if !capture.Required {
			c.fail(path, "{%[1]s} must be captured: add after_connect.capture.%[1]s with required: true", name)
			return
		}
		c.limited(where+name+".pattern", path, capture.Pattern, at)
	}
	if c.d.APIKey != nil {
		c.keyPart(path, name, at)
	}
}

// keyPart checks a group of the API key's pattern. Where the vault itself sends
// nothing, the whole host may be what the key's owner says it is.
func (c *checker) keyPart(path, name string, at place) {
	group := c.d.APIKey.groups()[name]
	allowed := isLabelRune
	if at == wholeHost && !c.d.HasOAuth() {
		allowed = func(r rune) bool { return r == '.' || isLabelRune(r) }
	}
	if group == nil || at == wholeOrigin || !onlyRunes(group, allowed) {
		c.fail("api_key.pattern", "must always match a group (?P<%s>...) of a-z, A-Z, 0-9 and '-' alone, since it forms a part of %s", name, path)
	}
}

func (c *checker) limited(patternPath, path, pattern string, at place) {
	switch {
	case at == wholeOrigin && !onlyOrigin(pattern):
		c.fail(patternPath, `forms the beginning of %s, so it must be anchored, with the scheme and the domain in it, such as ^https://[a-z0-9.-]+\.example\.com$`, path)
	case at != wholeOrigin && at != inPath && !onlyHostLabel(pattern):
		c.fail(patternPath, "forms a part of %s, so it must be anchored and match only a-z, A-Z, 0-9 and '-', such as ^[a-z]+[0-9]+$", path)
	case at == inPath && !onlySegment(pattern):
		c.fail(patternPath, "forms a part of %s, so it must be anchored and match only a-z, A-Z, 0-9, '-', '_' and '.', such as ^[A-Za-z0-9_-]+$", path)
	}
}
