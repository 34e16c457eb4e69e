package sandbox

import (
	"encoding/json"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// What a script's endpoints refuse that the real ones might let pass.

// readForm reads a form that may hold nothing twice (RFC 6749, section 3.2).
func readForm(r *http.Request) (url.Values, bool) {
	if err := r.ParseForm(); err != nil {
		return nil, false
	}
	for _, values := range r.PostForm {
		if len(values) > 1 {
			return nil, false
		}
	}
	return r.PostForm, true
}

// readTokenRequest reads a request to the token endpoint in the provider's format.
// Those of scripts hold what the script asks for, and nothing else.
func readTokenRequest(r *http.Request, d dialect) (url.Values, bool) {
	if d.script == nil {
		return readForm(r)
	}
	contentType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, false
	}
	var form url.Values
	ok := false
	switch {
	case d.script.JSON && contentType == "application/json":
		form, ok = readJSON(r)
	case !d.script.JSON && contentType == "application/x-www-form-urlencoded":
		form, ok = readForm(r)
	}
	return form, ok && d.script.tokenParamsAreRight(form)
}

// readJSON reads an object of texts.
func readJSON(r *http.Request) (url.Values, bool) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return nil, false
	}
	var fields map[string]string
	if json.Unmarshal(body, &fields) != nil {
		return nil, false
	}
	form := url.Values{}
	for name, value := range fields {
		form.Set(name, value)
	}
	return form, true
}

func (c *Script) tokenParamsAreRight(form url.Values) bool {
	known := []string{
		"grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "device_code", "scope",
		"client_id", "client_secret", "client_assertion", "client_assertion_type",
	}
	return isRight(form, c.TokenParams, known)
}

// isRight reports whether a request has all the parameters that it should have,
// and no others than those that are known.
func isRight(form url.Values, wanted map[string]string, known []string) bool {
	for name, value := range wanted {
		if form.Get(name) != value {
			return false
		}
	}
	for name := range form {
		if _, ok := wanted[name]; !ok && !slices.Contains(known, name) {
			return false
		}
	}
	return true
}

// checkAuthorization says what is wrong with an authorization request. Empty:
// nothing.
func (c *Script) checkAuthorization(q url.Values) string {
	known := []string{"client_id", "redirect_uri", "response_type", "state", "scope", "login_hint"}
	if c.PKCE {
		known = append(known, "code_challenge", "code_challenge_method")
	}
	wanted := map[string]string{}
	if u, err := url.Parse(c.AuthorizeURL); err == nil {
		for name := range u.Query() {
			wanted[name] = u.Query().Get(name)
		}
	}
	for name, value := range c.AuthorizeParams {
		wanted[name] = value
	}
	switch {
	case q.Get("state") == "":
		return "A state is missing."
	case !isRight(q, wanted, known):
		return "The request has other parameters than " + c.title() + " documents."
	case !scripted(c).scopesAreRight(q.Get("scope")):
		return "The scopes are not written as " + c.title() + " reads them, or one that is always needed is missing."
	}
	return ""
}

// scopesAreRight reports whether scopes are separated as they should be, and those
// among them that are always needed.
func (d dialect) scopesAreRight(scope string) bool {
	if d.script == nil {
		return true
	}
	if strings.ContainsAny(scope, strings.Replace(" ,;", d.script.separator(), "", 1)) {
		return false
	}
	asked := strings.Split(scope, d.script.separator())
	for _, needed := range d.script.BaseScopes {
		if !slices.Contains(asked, needed) {
			return false
		}
	}
	return true
}

func (c *Script) separator() string {
	if c.ScopeSeparator == "" {
		return " "
	}
	return c.ScopeSeparator
}

func (c *Script) tokenType() string {
	if c.TokenType == "" {
		return "Bearer"
	}
	return c.TokenType
}

// carried returns the access token of a request that has exactly the headers that
// it should have. ok is false where it has not; the token is empty where none of
// them holds one.
func carried(r *http.Request, headers map[string]string) (token string, ok bool) {
	const place = "{access_token}"
	expected := slices.ContainsFunc(slices.Collect(maps.Keys(headers)), func(name string) bool { return strings.EqualFold(name, "Authorization") })
	if !expected && r.Header.Get("Authorization") != "" {
		return "", false // a credential that nobody has asked for
	}
	for name, want := range headers {
		values := r.Header.Values(name)
		if len(values) != 1 {
			return "", false
		}
		before, after, holds := strings.Cut(want, place)
		if !holds {
			if values[0] != want {
				return "", false
			}
			continue
		}
		rest, begins := strings.CutPrefix(values[0], before)
		found, ends := strings.CutSuffix(rest, after)
		if !begins || !ends || found == "" || token != "" && token != found {
			return "", false
		}
		token = found
	}
	return token, true
}
