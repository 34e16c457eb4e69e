package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tokenvault/tokenvault/vault/loopback"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// Account is who a connection is at the provider. Empty fields are not known.
type Account struct {
	ID, Name, Email string
}

// Captured is what is known of a connection besides its tokens.
type Captured struct {
	Metadata map[string]string
	Account  Account
}

// maxValue is the longest captured value, in bytes.
const maxValue = 1024

// Capture tells whose token it is: it asks the provider, as the definition's
// after_connect says, and adds what the token response has told, and the
// connection's variables. The error names the field at fault, never its value.
func (p *Provider) Capture(ctx context.Context, accessToken secret.String, told Captured) (Captured, error) {
	var document any
	if after := p.definition.AfterConnect; after != nil {
		body, err := p.fetch(ctx, after, accessToken, told)
		if err != nil {
			return Captured{}, err
		}
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.UseNumber() // ids are longer than a float can hold
		if err := decoder.Decode(&document); err != nil {
			return Captured{}, &Error{Op: "account look-up", Err: errors.New("the answer is not JSON")}
		}
	}
	captured, err := p.read(document, told)
	if err != nil {
		return Captured{}, &Error{Op: "account look-up", Err: err}
	}
	return captured, nil
}

func (p *Provider) fetch(ctx context.Context, after *AfterConnect, accessToken secret.String, told Captured) ([]byte, error) {
	req, err := p.lookUp(ctx, after, accessToken, told)
	if err != nil {
		return nil, err
	}
	resp, err := p.plain.Do(req)
	if err != nil {
		return nil, &Error{Op: "account look-up", Err: cause(err)}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, &Error{Op: "account look-up", Status: resp.StatusCode, RetryAfter: parseRetryAfter(resp.Header)}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return nil, &Error{Op: "account look-up", Err: errors.New("the answer broke off")}
	}
	return body, nil
}

// lookUp returns the after_connect request. Its URL may hold values of the token
// response; those have the form that their patterns ask for.
func (p *Provider) lookUp(ctx context.Context, after *AfterConnect, accessToken secret.String, told Captured) (*http.Request, error) {
	method := after.Method
	if method == "" {
		method = http.MethodGet
	}
	address, known := fillKnown(after.URL, func(name string) (string, bool) {
		value, ok := told.Metadata[name]
		return value, ok && p.patterns[name] != nil && p.patterns[name].MatchString(value)
	})
	if !known {
		return nil, &Error{Op: "account look-up", Err: errors.New("the token response lacks what after_connect.url needs")}
	}
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(after.Body))
	if err != nil {
		return nil, &Error{Op: "account look-up", Err: errors.New("after_connect.url is not a URL")}
	}
	req.Header.Set("Accept", "application/json")
	if after.Body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	carried := false
	for name, text := range after.Headers {
		value, _ := fillKnown(text, p.headerValues(accessToken, nil))
		req.Header.Set(name, value)
		carried = carried || holds(text, "access_token")
	}
	authorization := after.Authorization
	if authorization == "" && !carried {
		authorization = "Bearer {access_token}"
	}
	if authorization != "" {
		req.Header.Set("Authorization", strings.Replace(authorization, "{access_token}", accessToken.Reveal(), 1))
	}
	return req, nil
}

// sameSite lets a client follow a few redirects, within the host that it was
// sent to and those below it: the token goes along.
func sameSite(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	host, origin := strings.ToLower(req.URL.Hostname()), strings.ToLower(first.Hostname())
	switch {
	case len(via) > maxRedirects:
		return errors.New("too many redirects")
	case req.URL.Scheme != first.Scheme || req.URL.Port() != first.Port():
		return errors.New("redirect to another scheme or port")
	case host != origin && (loopback.IsHost(origin) || !strings.HasSuffix(host, "."+origin)):
		return errors.New("redirect to another host")
	}
	return nil
}

// read takes from the after_connect document what the definition asks for.
func (p *Provider) read(document any, told Captured) (Captured, error) {
	captured := Captured{Metadata: maps.Clone(p.params), Account: told.Account}
	if captured.Metadata == nil {
		captured.Metadata = map[string]string{}
	}
	for _, name := range slices.Sorted(maps.Keys(p.definition.captures())) {
		capture, fromToken := p.definition.TokenCapture[name]
		value, ok := told.Metadata[name]
		if !fromToken {
			capture = p.definition.AfterConnect.Capture[name]
			value, ok = valueAt(document, capture.Pointer)
		}
		if pattern := p.patterns[name]; ok && pattern != nil && !pattern.MatchString(value) {
			return Captured{}, fmt.Errorf("%s does not match its pattern", name)
		}
		if !ok && capture.Required {
			return Captured{}, fmt.Errorf("%s is missing", name)
		}
		if ok {
			captured.Metadata[name] = value
		}
	}
	pointers := p.definition.Account
	for _, field := range []struct {
		pointer string
		value   *string
	}{
		{pointers.ID, &captured.Account.ID},
		{pointers.Name, &captured.Account.Name},
		{pointers.Email, &captured.Account.Email},
	} {
		if value, ok := valueAt(document, field.pointer); ok {
			*field.value = value
		}
	}
	if pointers.ID != "" && captured.Account.ID == "" {
		return Captured{}, errors.New("the account's id is missing")
	}
	return captured, nil
}

// valueAt returns what a JSON pointer (RFC 6901) leads to, as text. It reports
// false for what is not there, null, an object or a list, and for text that is
// too long or has characters that [isDeceptive] refuses.
func valueAt(document any, pointer string) (string, bool) {
	if pointer == "" {
		return "", false
	}
	switch value := nodeAt(document, pointer).(type) {
	case string:
		if len(value) > maxValue || !utf8.ValidString(value) || strings.ContainsFunc(value, isDeceptive) {
			return "", false
		}
		return value, true
	case json.Number:
		return value.String(), len(value) <= maxValue
	case bool:
		return strconv.FormatBool(value), true
	default:
		return "", false
	}
}

// isDeceptive reports whether a character can have text look like something else:
// controls, and format characters such as those that turn the direction of what
// follows. The joiners are letters to those whose names have them.
func isDeceptive(r rune) bool {
	const zeroWidthNonJoiner, zeroWidthJoiner = '\u200C', '\u200D'
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) && r != zeroWidthNonJoiner && r != zeroWidthJoiner
}

// nodeAt returns what a JSON pointer leads to; nil where there is nothing.
func nodeAt(document any, pointer string) any {
	node := document
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	for _, step := range strings.Split(pointer, "/")[1:] {
		switch parent := node.(type) {
		case map[string]any:
			node = parent[unescape.Replace(step)]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(parent) {
				return nil
			}
			node = parent[i]
		default:
			return nil
		}
	}
	return node
}
