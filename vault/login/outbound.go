package login

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"golang.org/x/oauth2"
)

// Limits of what is said to the issuer. Unlike a provider it may be in a private
// network: the operator has chosen it, and no tenant or person can.
const (
	answerTime = 15 * time.Second
	maxBody    = 1 << 20 // bytes
	maxCause   = 300     // bytes of an error, for the log
)

// newClient returns the client that talks to the issuer. It follows no redirects: the
// client secret is for the token endpoint alone.
func newClient() *http.Client {
	return &http.Client{
		Transport: limited{&http.Transport{
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute,
		}},
		Timeout:       answerTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// limited bounds the body of every answer, and takes none in another protocol.
type limited struct{ next http.RoundTripper }

func (l limited) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := l.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusSwitchingProtocols { // what follows is the connection, of which no timeout ends a read
		_ = resp.Body.Close()
		return nil, errors.New("the answer switches to another protocol")
	}
	resp.Body = http.MaxBytesReader(nil, resp.Body, maxBody)
	return resp, nil
}

// codes are those that a token endpoint may answer with (RFC 6749, section 5.2).
func codes() []string {
	return []string{"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope"}
}

// brief cuts an error to what a log bears. What the token endpoint has answered may
// hold secrets: of that, there is the status, and the error code if it is a known one.
func brief(err error) error {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.Response != nil {
		code := refused.ErrorCode
		if !slices.Contains(codes(), code) {
			code = "not_shown"
		}
		return fmt.Errorf("the token endpoint answered with status %d, error %q", refused.Response.StatusCode, code)
	}
	if text := err.Error(); len(text) > maxCause {
		return errors.New(text[:maxCause] + "…")
	}
	return err
}
