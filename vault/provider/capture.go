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

	"github.com/tokenvault/tokenvault/vault/secret"
)

// Account is who a connection is at the provider. Empty fields are not known.
type Account struct {
	ID, Name, Email string
}

// Captured is what the after_connect request has brought.
type Captured struct {
	Metadata map[string]string
	Account  Account
}

// maxValue is the longest captured value, in bytes.
const maxValue = 1024

// Capture asks the provider whose token it is, as the definition says. The error
// names the field at fault, never its value.
func (p *Provider) Capture(ctx context.Context, accessToken secret.String) (Captured, error) {
	after := p.definition.AfterConnect
	if after == nil {
		return Captured{}, nil
	}
	body, err := p.fetch(ctx, after, accessToken)
	if err != nil {
		return Captured{}, err
	}
	captured, err := p.read(body, after)
	if err != nil {
		return Captured{}, &Error{Op: "account look-up", Err: err}
	}
	return captured, nil
}

func (p *Provider) fetch(ctx context.Context, after *AfterConnect, accessToken secret.String) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, after.URL, nil)
	if err != nil {
		return nil, &Error{Op: "account look-up", Err: errors.New("after_connect.url is not a URL")}
	}
	authorization := after.Authorization
	if authorization == "" {
		authorization = "Bearer {access_token}"
	}
	req.Header.Set("Authorization", strings.Replace(authorization, "{access_token}", accessToken.Reveal(), 1))
	req.Header.Set("Accept", "application/json")
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
	case host != origin && (isLoopback(origin) || !strings.HasSuffix(host, "."+origin)):
		return errors.New("redirect to another host")
	}
	return nil
}

func (p *Provider) read(body []byte, after *AfterConnect) (Captured, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber() // ids are longer than a float can hold
	var document any
	if err := decoder.Decode(&document); err != nil {
		return Captured{}, errors.New("the answer is not JSON")
	}
	captured := Captured{Metadata: map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(after.Capture)) {
		capture := after.Capture[name]
		value, ok := valueAt(document, capture.Pointer)
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
	captured.Account.ID, _ = valueAt(document, pointers.ID)
	captured.Account.Name, _ = valueAt(document, pointers.Name)
	captured.Account.Email, _ = valueAt(document, pointers.Email)
	if pointers.ID != "" && captured.Account.ID == "" {
		return Captured{}, errors.New("the account's id is missing")
	}
	return captured, nil
}

// valueAt returns what a JSON pointer (RFC 6901) leads to, as text. It reports
// false for what is not there, null, an object or a list, and for text that is
// too long or not printable.
func valueAt(document any, pointer string) (string, bool) {
	if pointer == "" {
		return "", false
	}
	node := document
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	for _, step := range strings.Split(pointer, "/")[1:] {
		switch parent := node.(type) {
		case map[string]any:
			node = parent[unescape.Replace(step)]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(parent) {
				return "", false
			}
			node = parent[i]
		default:
			return "", false
		}
	}
	switch value := node.(type) {
	case string:
		if len(value) > maxValue || !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
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
