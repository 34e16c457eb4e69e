package marketing

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/tokenvault/tokenvault/vault/loopback"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// dataCenter is what the data centre of an account is called. A crafted one would have
// the key sent to another host.
var dataCenter = regexp.MustCompile(`^[a-z]+[0-9]+$`)

// formOfBaseURL is what the API's base URL looks like.
const formOfBaseURL = "https://us6.api.mailchimp.com/3.0"

// CheckAPIKey refuses what can be no key of Mailchimp's.
func CheckAPIKey(key secret.String) error {
	_, err := dataCenterOf(key)
	return err
}

func dataCenterOf(key secret.String) (string, error) {
	at := strings.LastIndex(key.Reveal(), "-")
	if at < 1 || !dataCenter.MatchString(key.Reveal()[at+1:]) {
		return "", errors.New("this is no API key of Mailchimp's: they end in a dash and the data centre, such as -us6")
	}
	return key.Reveal()[at+1:], nil
}

// NewWithAPIKey returns a client with a key of Mailchimp's (0123456789abcdef-us6). It
// sends the key to https://{dc}.api.mailchimp.com/3.0, where dc is what comes after the
// key's last dash, and nowhere else. baseURL is another place, for tests: https, or http
// on this machine; empty: none. Errors call it MAILCHIMP_API_URL, where people set it.
func NewWithAPIKey(key secret.String, baseURL string) (*Client, error) {
	dc, err := dataCenterOf(key)
	if err != nil {
		return nil, err
	}
	baseURLName := "MAILCHIMP_API_URL"
	if baseURL == "" {
		baseURLName = ""
		baseURL = "https://" + dc + ".api.mailchimp.com/3.0"
	}
	base, err := url.Parse(baseURL)
	if err != nil || base.Host == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, errors.New("the API's base URL is not of the form " + formOfBaseURL)
	}
	if base.Scheme != "https" && (base.Scheme != "http" || !loopback.IsHost(base.Hostname())) {
		return nil, fmt.Errorf("the API's base URL begins with %s: a key goes out over https only, except to this machine", base.Scheme)
	}
	if base.Path == "" {
		base.Path = "/" // what JoinPath makes of none begins without a slash
	}
	pool := http.DefaultTransport.(*http.Transport).Clone()
	pool.MaxIdleConnsPerHost = connections
	return New(Config{
		HTTP:    &http.Client{Transport: &keyTransport{key: key, base: base, pool: pool}},
		Limiter: NewLimiter(),
		Secrets: []secret.String{key, basic(key)}, BaseURLName: baseURLName,
	})
}

// keyTransport adds the key to requests.
type keyTransport struct {
	key  secret.String
	base *url.URL
	pool http.RoundTripper
}

// user is of no meaning to Mailchimp.
const user = "tokenvault"

// basic is what the header has of a key (RFC 7617), which is as good as the key.
func basic(key secret.String) secret.String {
	return secret.New(base64.StdEncoding.EncodeToString([]byte(user + ":" + key.Reveal())))
}

// RoundTrip implements http.RoundTripper.
func (t *keyTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "" || req.URL.Host != "" || req.URL.Opaque != "" {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, fmt.Errorf("the API key does not go to %s", req.URL.Host)
	}
	out := req.Clone(req.Context())
	out.URL = t.base.JoinPath(req.URL.EscapedPath())
	out.URL.RawQuery = req.URL.RawQuery
	out.Host = ""
	out.SetBasicAuth(user, t.key.Reveal())
	resp, err := t.pool.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	resp.Request = req // without the key
	return resp, nil
}
