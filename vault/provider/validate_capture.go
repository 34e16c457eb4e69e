package provider

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

var captureName = regexp.MustCompile(`\A[A-Za-z0-9_]{1,64}\z`)

// captures checks what both documents are asked for.
func (c *checker) captures() {
	d := c.d
	if d.AfterConnect != nil {
		c.capture("after_connect.capture", d.AfterConnect.Capture)
	}
	c.capture("token_capture", d.TokenCapture)
	if len(d.captures())+len(d.Variables)+len(d.APIKey.groups()) > maxMetadata {
		c.fail("token_capture", "variables and captured values are at most %d together", maxMetadata)
	}
	for _, name := range slices.Sorted(maps.Keys(d.TokenCapture)) {
		if _, twice := d.Variables[name]; twice {
			c.fail("token_capture."+name, "is the name of a variable too; give it another one")
		}
		if d.AfterConnect == nil {
			continue
		}
		if _, twice := d.AfterConnect.Capture[name]; twice {
			c.fail("token_capture."+name, "is captured by after_connect too; take out one of them")
		}
	}
	c.pointer("account.id", d.Account.ID, false)
	c.pointer("account.name", d.Account.Name, false)
	c.pointer("account.email", d.Account.Email, false)
}

func (c *checker) capture(path string, captures map[string]Capture) {
	for _, name := range slices.Sorted(maps.Keys(captures)) {
		path := path + "." + name
		c.name(path, name)
		c.pointer(path+".pointer", captures[name].Pointer, true)
		c.pattern(path+".pattern", captures[name].Pattern)
	}
}

func (c *checker) name(path, name string) {
	if !captureName.MatchString(name) || slices.Contains(standing(), name) {
		c.fail(path, "a name has 1 to 64 of a-z, A-Z, 0-9 and '_', and is none of %s", strings.Join(standing(), ", "))
	}
}

// standing are the names that stand for something else in headers.
func standing() []string { return []string{"access_token", "client_id", keyGroup} }

func (c *checker) pattern(path, pattern string) {
	if _, err := regexp.Compile(pattern); err != nil {
		c.fail(path, "is not a regular expression (RE2 syntax)")
	}
}

// variables checks that each has a name and a pattern, and that its default has
// that form. Where a variable stands decides what else its pattern must be.
func (c *checker) variables() {
	for _, name := range slices.Sorted(maps.Keys(c.d.Variables)) {
		path := "variables." + name
		c.name(path, name)
		v := c.d.Variables[name]
		if v.Pattern == "" {
			c.fail(path+".pattern", "is missing: write a regular expression for the whole value, such as ^[a-z0-9-]+$")
			continue
		}
		c.pattern(path+".pattern", v.Pattern)
		if re, err := regexp.Compile(`\A(?:` + v.Pattern + `)\z`); err == nil && v.Default != "" {
			if !re.MatchString(v.Default) || !variableValue.MatchString(v.Default) {
				c.fail(path+".default", "does not match the pattern")
			}
		}
	}
}

func (c *checker) afterConnect() {
	a := c.d.AfterConnect
	if a == nil {
		return
	}
	c.url("after_connect.url", a.URL, true)
	if a.Authorization != "" && strings.Count(a.Authorization, "{access_token}") != 1 {
		c.fail("after_connect.authorization", "must hold {access_token} once, such as: Bearer {access_token}")
	}
	if strings.ContainsAny(a.Authorization, "\r\n") {
		c.fail("after_connect.authorization", "must be one line")
	}
	switch a.Method {
	case "", "GET":
		if a.Body != "" {
			c.fail("after_connect.body", "needs method: POST")
		}
	case "POST":
	default:
		c.fail("after_connect.method", "write GET or POST")
	}
	c.headers("after_connect.headers", a.Headers, []string{"access_token", "client_id"})
}

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
