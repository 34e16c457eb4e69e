// Package issuerhttp is how OpenID issuers are asked: for keys in access, to sign people
// in in login. Unlike a provider, an issuer may be in a private network: the operator
// has chosen it, and no tenant or person can.
package issuerhttp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"time"
)

// maxAnswer is in bytes.
const maxAnswer = 1 << 20

// NewClient returns a client with a time for each question, its answer included. roots
// are the authorities for certificates; nil: the system's. It follows no redirects: the
// secrets that a request has are for where it was sent. It goes through no proxy: that
// would be one more who says which keys to believe. Reading more than 1 MiB of an answer
// fails.
func NewClient(timeout time.Duration, roots *x509.CertPool) *http.Client {
	return &http.Client{
		Transport: limited{&http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute,
		}},
		Timeout:       timeout,
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
	resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
	return resp, nil
}
