package provider

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// headerName is a token (RFC 9110, section 5.6.2).
var headerName = regexp.MustCompile("\\A[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}\\z")

// headers checks headers and what stands in braces in them.
func (c *checker) headers(path string, headers map[string]string, known []string) {
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		if !headerName.MatchString(name) {
			c.fail(path+"."+name, "is not the name of a header")
		}
		c.headerText(path+"."+name, headers[name], known)
	}
}

func (c *checker) headerText(path, text string, known []string) {
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		c.fail(path, "must be one line of printable ASCII")
	}
	t, err := parseTemplate(text)
	if err != nil {
		c.fail(path, "%v", err)
		return
	}
	for _, name := range t.names {
		if !slices.Contains(known, name) {
			c.fail(path, "{%s} is not known here; there are: %s", name, strings.Join(known, ", "))
		}
	}
}

// headerNames are what can stand in braces in api_headers.
func (c *checker) headerNames() []string {
	names := []string{"access_token", "client_id"}
	names = slices.AppendSeq(names, maps.Keys(c.d.captures()))
	names = slices.AppendSeq(names, maps.Keys(c.d.Variables))
	names = slices.AppendSeq(names, maps.Keys(c.d.APIKey.groups()))
	slices.Sort(names)
	return names
}

// apiKey checks how keys are read and sent.
func (c *checker) apiKey() {
	k := c.d.APIKey
	if k == nil {
		return
	}
	c.pattern("api_key.pattern", k.Pattern)
	if re, err := regexp.Compile(k.Pattern); err == nil {
		for _, name := range re.SubexpNames() {
			if name != "" && name != keyGroup {
				c.name("api_key.pattern", name)
			}
		}
	}
	if k.Header != "" && !headerName.MatchString(k.Header) {
		c.fail("api_key.header", "is not the name of a header")
	}
	if k.Authorization != "" && k.Basic != "" {
		c.fail("api_key.basic", "takes the place of authorization; take out one of them")
	}
	names := append(slices.Collect(maps.Keys(k.groups())), keyGroup)
	for _, field := range []struct{ path, text string }{{"api_key.authorization", k.Authorization}, {"api_key.basic", k.Basic}} {
		if field.text == "" {
			continue
		}
		c.headerText(field.path, field.text, names)
		if !holds(field.text, keyGroup) {
			c.fail(field.path, "must hold {api_key}")
		}
	}
	if k.Basic != "" && !strings.Contains(k.Basic, ":") && k.Basic != "{api_key}" {
		c.fail("api_key.basic", "must be a user name and a password with a colon between them: {api_key}: or x:{api_key}")
	}
}
