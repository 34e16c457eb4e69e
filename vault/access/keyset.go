package access

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
)

// Times of an issuer's keys.
const (
	keyTime   = time.Hour        // after which they are asked for again: some may have been withdrawn
	keyGrace  = 24 * time.Hour   // after which they are not believed any more, though the issuer does not answer
	askPause  = 10 * time.Second // between two questions, so that forged tokens cause no more
	askTime   = 10 * time.Second // for one question
	maxAnswer = 1 << 20          // bytes
)

// keySet verifies signatures with the keys of an issuer, which it asks for when it
// does not know a token's key. go-oidc's own asks for every signature that is wrong,
// and keeps keys that the issuer has withdrawn. It is safe for concurrent use.
type keySet struct {
	issuer Issuer
	client *http.Client
	now    func() time.Time
	asking singleflight.Group

	mu    sync.Mutex
	keys  []jose.JSONWebKey
	got   time.Time // when the keys came
	asked time.Time // when they were last asked for
	fault error     // of the last question; nil: it was answered
}

var _ oidc.KeySet = (*keySet)(nil)

func newKeySet(i Issuer, now func() time.Time) *keySet {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: i.RootCAs, MinVersion: tls.VersionTLS12}
	client := &http.Client{
		Transport:     asker{transport, i.TokenFile},
		Timeout:       askTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &keySet{issuer: i, client: client, now: now}
}

// asked carries the reason for which an issuer's keys could not be had past
// go-oidc, which makes a text of it.
type asked struct{ failed error }

type askedKey struct{}

func withAsking(ctx context.Context) (context.Context, *asked) {
	a := new(asked)
	return context.WithValue(ctx, askedKey{}, a), a
}

// errSignature says no more: go-oidc names what it is about.
var errSignature = errors.New("no key of the issuer's has made the signature")

// VerifySignature implements oidc.KeySet.
func (s *keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	signed, err := jose.ParseSignedCompact(token, algorithms())
	if err != nil {
		return nil, err
	}
	if payload := verifyWith(s.atHand(keyTime), signed); payload != nil {
		return payload, nil
	}
	err = s.ask(ctx)
	if payload := verifyWith(s.atHand(keyGrace), signed); payload != nil {
		return payload, nil
	}
	if err != nil {
		if a, ok := ctx.Value(askedKey{}).(*asked); ok {
			a.failed = err
		}
		return nil, err
	}
	return nil, errSignature
}

func verifyWith(keys []jose.JSONWebKey, signed *jose.JSONWebSignature) []byte {
	for _, key := range keys {
		if id := signed.Signatures[0].Header.KeyID; id != "" && key.KeyID != "" && id != key.KeyID {
			continue
		}
		if payload, err := signed.Verify(key); err == nil {
			return payload
		}
	}
	return nil
}

// atHand returns the keys, if they came within that time.
func (s *keySet) atHand(within time.Duration) []jose.JSONWebKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now().Sub(s.got) > within {
		return nil
	}
	return s.keys
}

// ask asks for the keys, once for all who want them, unless they were asked for
// just now. It returns why they could not be had.
func (s *keySet) ask(ctx context.Context) error {
	// Whoever leaves does not end the question for the others.
	answer := s.asking.DoChan("", func() (any, error) { return nil, s.askOnce(context.WithoutCancel(ctx)) })
	select {
	case result := <-answer:
		return result.Err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// askOnce is called by one at a time.
func (s *keySet) askOnce(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now().Sub(s.asked) < askPause {
		return s.fault
	}
	s.mu.Unlock()
	keys, err := s.fetch(ctx)
	s.mu.Lock()
	s.asked, s.fault = s.now(), err
	if err == nil {
		s.keys, s.got = keys, s.asked
	}
	return err
}

func (s *keySet) fetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	where := s.issuer.KeysURL
	if where == "" {
		discovered, err := oidc.NewProvider(oidc.ClientContext(ctx, s.client), s.issuer.URL)
		if err != nil {
			return nil, fmt.Errorf("read the metadata of %s: %w", s.issuer.URL, err)
		}
		var metadata struct {
			KeysURL string `json:"jwks_uri"`
		}
		if err := discovered.Claims(&metadata); err != nil || metadata.KeysURL == "" {
			return nil, fmt.Errorf("the metadata of %s names no jwks_uri", s.issuer.URL)
		}
		where = metadata.KeysURL
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s for its keys: %w", s.issuer.URL, err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask %s for its keys: %w", s.issuer.URL, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask %s for its keys: status %d", s.issuer.URL, resp.StatusCode)
	}
	return parseKeys(resp.Body)
}

// parseKeys reads a JWK Set (RFC 7517), and passes over keys that are of no use
// here.
func parseKeys(body io.Reader) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.NewDecoder(body).Decode(&set); err != nil {
		return nil, fmt.Errorf("the keys are no JWK Set: %w", err)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if err := json.Unmarshal(raw, &key); err == nil && key.IsPublic() && key.Valid() && key.Use != "enc" {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("the JWK Set has no key that can be used")
	}
	return keys, nil
}

// asker sends the token of a file, if there is one, and cuts answers off that are
// too long.
type asker struct {
	base      http.RoundTripper
	tokenFile string
}

// RoundTrip implements http.RoundTripper.
func (a asker) RoundTrip(req *http.Request) (*http.Response, error) {
	if a.tokenFile != "" {
		token, err := os.ReadFile(a.tokenFile)
		if err != nil {
			return nil, err
		}
		req = req.Clone(req.Context())
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	resp, err := a.base.RoundTrip(req)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}
