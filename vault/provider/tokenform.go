package provider

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// tokenForm adds the definition's parameters to what is sent to the token
// endpoint: x/oauth2 can do that for some grants only.
type tokenForm struct {
	next   http.RoundTripper
	params map[string]string
}

func (f tokenForm) RoundTrip(req *http.Request) (*http.Response, error) {
	if len(f.params) == 0 {
		return f.next.RoundTrip(req)
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
	for name, value := range f.params {
		form.Set(name, value)
	}
	text := form.Encode()
	req = req.Clone(req.Context())
	req.Body = io.NopCloser(strings.NewReader(text))
	req.ContentLength = int64(len(text))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
	return f.next.RoundTrip(req)
}
