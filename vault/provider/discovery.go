package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// Times of discovery.
const (
	metadataAge   = time.Hour       // after which metadata is asked for again, while it still serves
	metadataStale = 24 * time.Hour  // after which it serves only if it cannot be had again
	metadataPause = time.Minute     // between attempts, while there is something that serves
	failurePause  = 5 * time.Second // between attempts, while there is nothing
	metadataTime  = 10 * time.Second
	maxIssuers    = 1000
)

// metadata is what an authorization server tells of itself (RFC 8414, section 2).
type metadata struct {
	Issuer       string   `json:"issuer"`
	AuthorizeURL string   `json:"authorization_endpoint"`
	TokenURL     string   `json:"token_endpoint"`
	RevokeURL    string   `json:"revocation_endpoint"`
	DeviceURL    string   `json:"device_authorization_endpoint"`
	AuthMethods  []string `json:"token_endpoint_auth_methods_supported"`
	TellsIssuer  bool     `json:"authorization_response_iss_parameter_supported"`
}

// discoverer keeps what authorization servers tell of themselves. It asks when
// the first request needs it, not before.
type discoverer struct {
	client       *http.Client
	allowPrivate bool

	flights singleflight.Group

	mu    sync.Mutex
	known map[string]discovered // by issuer
}

// discovered is what is known of one issuer.
type discovered struct {
	metadata metadata
	got      time.Time // when metadata came; zero: never
	tried    time.Time // when it was last asked for
	err      error     // of the last attempt
}

// serves reports whether there is an answer that needs no waiting: what came
// last, or an error that is fresh.
func (d discovered) serves(now time.Time) bool {
	if d.got.IsZero() {
		return d.err != nil && now.Sub(d.tried) < failurePause
	}
	return now.Sub(d.got) < metadataStale || now.Sub(d.tried) < metadataPause
}

// due reports whether it is time to ask.
func (d discovered) due(now time.Time) bool {
	if d.got.IsZero() {
		return d.err == nil || now.Sub(d.tried) >= failurePause
	}
	return now.Sub(d.got) >= metadataAge && now.Sub(d.tried) >= metadataPause
}

func (d discovered) answer() (metadata, error) {
	if d.got.IsZero() {
		return metadata{}, d.err
	}
	return d.metadata, nil
}

// lookUp returns an issuer's metadata. However many ask at once, the provider is
// asked once; while it is down, what it told last serves.
func (d *discoverer) lookUp(ctx context.Context, issuer string) (metadata, error) {
	now := time.Now()
	known := d.knownOf(issuer)
	if !known.due(now) {
		return known.answer()
	}
	// The request belongs to all who wait for it: it does not end with one.
	flight := d.flights.DoChan(issuer, func() (any, error) {
		if known := d.knownOf(issuer); !known.due(time.Now()) {
			return known.answer() // another flight has ended meanwhile
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), metadataTime)
		defer cancel()
		return d.ask(ctx, issuer).answer()
	})
	if known.serves(now) {
		return known.answer()
	}
	select {
	case <-ctx.Done():
		return metadata{}, &Error{Op: "discovery", Err: ctx.Err()}
	case result := <-flight:
		m, _ := result.Val.(metadata)
		return m, result.Err
	}
}

func (d *discoverer) knownOf(issuer string) discovered {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.known[issuer]
}

// ask asks the provider and notes what comes of it.
func (d *discoverer) ask(ctx context.Context, issuer string) discovered {
	m, err := d.fetch(ctx, issuer)
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.known[issuer]
	known.tried, known.err = now, err
	if err == nil {
		known.metadata, known.got = m, now
	}
	d.known[issuer] = known
	if len(d.known) > maxIssuers {
		d.forgetOldest()
	}
	return known
}

// forgetOldest makes room. d.mu is held.
func (d *discoverer) forgetOldest() {
	var oldest string
	for issuer, known := range d.known {
		if oldest == "" || known.tried.Before(d.known[oldest].tried) {
			oldest = issuer
		}
	}
	delete(d.known, oldest)
}

// fetch gets the metadata of OpenID Connect Discovery 1.0 or, where there is
// none, of RFC 8414.
func (d *discoverer) fetch(ctx context.Context, issuer string) (metadata, error) {
	places, err := wellKnown(issuer)
	if err != nil {
		return metadata{}, &Error{Kind: Misconfigured, Op: "discovery", Err: err}
	}
	var failed error
	for _, place := range places {
		m, err := d.fetchFrom(ctx, place)
		if err == nil {
			err = d.check(m, issuer)
		}
		if err == nil {
			return m, nil
		}
		if failed == nil || KindOf(failed) == Misconfigured {
			failed = err
		}
	}
	return metadata{}, failed
}

// wellKnown returns where an issuer's metadata can be.
func wellKnown(issuer string) ([]string, error) {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the issuer is not a URL without query and fragment")
	}
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	origin := u.Scheme + "://" + u.Host
	return []string{
		origin + path + "/.well-known/openid-configuration",       // OpenID Connect Discovery 1.0, section 4
		origin + "/.well-known/oauth-authorization-server" + path, // RFC 8414, section 3
	}, nil
}

func (d *discoverer) fetchFrom(ctx context.Context, place string) (metadata, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, place, nil)
	if err != nil {
		return metadata{}, &Error{Kind: Misconfigured, Op: "discovery", Err: errors.New("the issuer is not a URL")}
	}
	req.Header.Set("Accept", "application/json")
	resp, err := d.client.Do(req)
	if err != nil {
		return metadata{}, &Error{Op: "discovery", Err: cause(err)}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		kind := Transient
		if resp.StatusCode == http.StatusNotFound {
			kind = Misconfigured
		}
		return metadata{}, &Error{Kind: kind, Op: "discovery", Status: resp.StatusCode, RetryAfter: parseRetryAfter(resp.Header)}
	}
	var m metadata
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(&m); err != nil {
		return metadata{}, &Error{Op: "discovery", Err: errors.New("the metadata is not JSON as it should be")}
	}
	return m, nil
}

// check compares the issuer, exactly (RFC 8414, section 3.3), and holds the
// endpoints to the rules for those of a definition.
func (d *discoverer) check(m metadata, issuer string) error {
	if m.Issuer != issuer {
		return &Error{Kind: Misconfigured, Op: "discovery", Err: errors.New("the metadata is of another issuer; write issuer exactly as the provider does, to the last slash")}
	}
	c := &checker{d: Definition{AllowPrivateNetwork: d.allowPrivate}}
	c.url("authorization_endpoint", m.AuthorizeURL, false)
	c.url("token_endpoint", m.TokenURL, true)
	c.url("revocation_endpoint", m.RevokeURL, false)
	c.url("device_authorization_endpoint", m.DeviceURL, false)
	if len(c.problems) > 0 {
		return &Error{Kind: Misconfigured, Op: "discovery", Err: fmt.Errorf("%s of the metadata %s", c.problems[0].Path, c.problems[0].Problem)}
	}
	return nil
}
