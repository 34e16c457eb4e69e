package marketing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// maxBody is how much of an answer is read, in bytes.
const maxBody = 4 << 20

// Config says what a [Client] works with.
type Config struct {
	// HTTP adds the credentials, and takes URLs without a host as paths below the API's
	// base URL. Required. Its redirects are not followed: the API has none.
	HTTP *http.Client
	// Limiter is that of the process. Required.
	Limiter *Limiter
	// Account names the Mailchimp account for the Limiter. Clients with the same share its
	// connections; the empty one is an account too.
	Account string
	// Secrets are what no answer and no error may repeat, whatever Mailchimp sends. They
	// are as headers have them. May be nil.
	Secrets []secret.String
	// BaseURLName is the setting that operators have for the API's base URL. Errors that
	// may come from a wrong one name it. Empty: there is none.
	BaseURLName string
}

// theBaseURL is what errors call the API's base URL.
const theBaseURL = "the API's base URL"

// Client calls the Marketing API for an account. It is safe for concurrent use.
type Client struct {
	http    *http.Client
	limiter *Limiter
	account string
	secrets []secret.String
	baseURL string // what errors call it
}

// New returns a Client.
func New(c Config) (*Client, error) {
	if c.HTTP == nil || c.Limiter == nil {
		return nil, errors.New("marketing: HTTP and Limiter are required")
	}
	h := *c.HTTP
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	baseURL := theBaseURL
	if c.BaseURLName != "" {
		baseURL += " (" + c.BaseURLName + ")"
	}
	return &Client{http: &h, limiter: c.Limiter, account: c.Account, secrets: c.Secrets, baseURL: baseURL}, nil
}

// Request is one of the API's. The zero value asks for the API's root.
type Request struct {
	// Method is that of HTTP. Empty: GET.
	Method string
	Path   Path
	Query  url.Values
	// Body is sent as JSON. nil: none.
	Body any
}

// Do sends a request, again where it makes sense, and returns the answer: nil where it is
// empty. Numbers are json.Number.
//
// Errors: [*Error] for what Mailchimp has answered, which is [ErrRefused] where the
// credentials are worth nothing; that of the http.Client, wrapped, for everything else.
func (c *Client) Do(ctx context.Context, r Request) (map[string]any, error) {
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = json.Marshal(r.Body); err != nil {
			return nil, fmt.Errorf("write the request to Mailchimp: %w", err)
		}
	}
	answer, err := c.insist(ctx, r, body)
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusUnauthorized {
		return c.doubt(ctx, r, body, e)
	}
	return answer, err
}

// Get asks for what is at a path.
func (c *Client) Get(ctx context.Context, path Path, query url.Values) (map[string]any, error) {
	return c.Do(ctx, Request{Path: path, Query: query})
}

// doubt follows a 401, which alone proves nothing. It asks for what everybody may have,
// and repeats the request if that works.
func (c *Client) doubt(ctx context.Context, r Request, body []byte, refused *Error) (map[string]any, error) {
	_, err := c.insist(ctx, Request{Method: http.MethodGet, Path: Path{text: "ping"}}, nil)
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusUnauthorized {
		refused.refused = true
		return nil, refused
	}
	if err != nil {
		return nil, refused
	}
	return c.insist(ctx, r, body)
}

// insist sends a request until it is answered, or there is no sense in it any more.
func (c *Client) insist(ctx context.Context, r Request, body []byte) (map[string]any, error) {
	began := time.Now()
	for try := 0; ; try++ {
		answer, err := c.try(ctx, r, body)
		if err == nil || try == maxTries-1 || !isTransient(r.Method, err) {
			return answer, err
		}
		pause := pauseAfter(try, err)
		if !canWait(ctx, began, pause) || wait(ctx, pause) != nil {
			return nil, err
		}
	}
}

// try sends a request once, when there is a connection for it.
func (c *Client) try(ctx context.Context, r Request, body []byte) (map[string]any, error) {
	leave, err := c.limiter.enter(ctx, c.account)
	if err != nil {
		return nil, err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	req, err := newRequest(ctx, r, body)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, callFailed(r, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusSwitchingProtocols { // the body is the connection, of which no deadline ends a read
		return nil, c.problem(r, resp, nil)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, callFailed(r, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, c.problem(r, resp, data[:min(len(data), maxBody)])
	}
	if len(data) > maxBody {
		return nil, fmt.Errorf("the answer of Mailchimp has more than %d MiB: ask for fewer items (count), or for fewer fields", maxBody>>20)
	}
	return c.decode(c.redact(data))
}

func newRequest(ctx context.Context, r Request, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, r.Path.url(r.Query).String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("write the request to Mailchimp: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "tokenvault-mailchimp-mcp")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	} else {
		req.Body, req.GetBody = http.NoBody, nil
	}
	return req, nil
}

// callFailed leaves out the URL, which is of no use to who reads it, and says where
// something may have been done all the same.
func callFailed(r Request, err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	what := "call Mailchimp"
	if errors.Is(err, context.DeadlineExceeded) {
		what = "Mailchimp has not answered in time"
	}
	if r.Method != http.MethodGet && (isBroken(err) || errors.Is(err, context.DeadlineExceeded)) {
		what += ", and may have done it or not, look before you try again"
	}
	return fmt.Errorf("%s: %w", what, err)
}

func (c *Client) problem(r Request, resp *http.Response, body []byte) *Error {
	e := parseProblem(resp.StatusCode, resp.Header.Get("Content-Type"), c.redact(body))
	e.Method, e.Path, e.RetryAfter, e.baseURL = r.Method, r.Path, retryAfter(resp.Header, time.Now()), c.baseURL
	return e
}

// redact takes the secrets out of JSON, in which PHP has slashes as \/.
func (c *Client) redact(body []byte) []byte {
	for _, s := range c.secrets {
		if s.IsZero() {
			continue
		}
		for _, text := range []string{s.Reveal(), strings.ReplaceAll(s.Reveal(), "/", `\/`)} {
			body = bytes.ReplaceAll(body, []byte(text), []byte(secret.Redacted))
		}
	}
	return body
}

// decode reads an answer.
func (c *Client) decode(data []byte) (map[string]any, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var answer map[string]any
	if err := d.Decode(&answer); err != nil {
		return nil, fmt.Errorf("the answer of Mailchimp is no JSON object: see that %s is right, such as %s, and what stands between", c.baseURL, formOfBaseURL)
	}
	return answer, nil
}
