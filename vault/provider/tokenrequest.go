package provider

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// tokenRequest rewrites what x/oauth2 sends to a token endpoint as the
// definition wants it: with parameters of its own, with a client assertion, or as
// JSON.
type tokenRequest struct {
	next   http.RoundTripper
	params map[string]string
	format TokenFormat
	// assertions authenticate the client. Nil: it has no key.
	assertions *assertions
}

func (r tokenRequest) RoundTrip(req *http.Request) (*http.Response, error) {
	if len(r.params) == 0 && r.format != TokenFormatJSON && r.assertions == nil {
		return r.next.RoundTrip(req)
	}
	body, err := io.ReadAll(req.Body)
	if closeErr := req.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, errors.New("the request to the token endpoint is not a form")
	}
	for name, value := range r.params {
		form.Set(name, value)
	}
	if r.assertions != nil {
		assertion, err := r.assertions.sign(req.URL.String())
		if err != nil {
			return nil, err
		}
		form.Set("client_assertion_type", assertionType)
		form.Set("client_assertion", assertion)
	}
	req = req.Clone(req.Context())
	text := form.Encode()
	if r.format == TokenFormatJSON {
		fields := make(map[string]string, len(form))
		for name := range form {
			fields[name] = form.Get(name)
		}
		data, err := json.Marshal(fields)
		if err != nil {
			return nil, err
		}
		text = string(data)
		req.Header.Set("Content-Type", "application/json")
	}
	req.Body = io.NopCloser(strings.NewReader(text))
	req.ContentLength = int64(len(text))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
	return r.next.RoundTrip(req)
}
