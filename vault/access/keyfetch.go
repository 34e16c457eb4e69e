package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/tokenvault/tokenvault/vault/issuerhttp"
	"github.com/tokenvault/tokenvault/vault/loopback"
)

// Limits of what is asked of an issuer.
const (
	askTime  = 10 * time.Second // for one question
	maxFault = 300              // bytes of what was wrong, for the log
)

// newClient returns the client that asks an issuer.
func newClient(i Issuer) *http.Client {
	client := issuerhttp.NewClient(askTime, i.RootCAs)
	client.Transport = asker{base: client.Transport, tokenFile: i.TokenFile, hosts: [2]string{hostOf(i.URL), hostOf(i.KeysURL)}}
	return client
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// CheckIssuer asks an issuer for its keys once, as those do who verify its tokens, and
// returns why it cannot be asked. The error is short enough for a log.
func CheckIssuer(ctx context.Context, i Issuer) error {
	_, err := newKeySet(i, time.Now).fetch(ctx)
	return err
}

// fetch asks the issuer for its keys. Its error is short enough for a log.
func (s *keySet) fetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	keys, err := s.fetchKeys(ctx)
	if err != nil {
		text := err.Error()
		return nil, fmt.Errorf("ask %s for its keys: %s", s.issuer.URL, text[:min(len(text), maxFault)])
	}
	return keys, nil
}

func (s *keySet) fetchKeys(ctx context.Context) ([]jose.JSONWebKey, error) {
	where, err := s.keysURL(ctx)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	return parseKeys(resp.Body)
}

// keysURL is where the keys are: what the configuration says, or the metadata.
func (s *keySet) keysURL(ctx context.Context) (string, error) {
	if s.issuer.KeysURL != "" {
		return s.issuer.KeysURL, nil
	}
	discovered, err := oidc.NewProvider(oidc.ClientContext(ctx, s.client), s.issuer.URL)
	if err != nil {
		return "", err
	}
	var metadata struct {
		KeysURL string `json:"jwks_uri"`
	}
	if err := discovered.Claims(&metadata); err != nil || metadata.KeysURL == "" {
		return "", errors.New("the metadata names no jwks_uri")
	}
	if !isPrivate(metadata.KeysURL) {
		return "", errors.New("the metadata names a jwks_uri without TLS")
	}
	return metadata.KeysURL, nil
}

// isPrivate reports whether nobody on the way can change what comes from a URL: it
// has TLS, or is on loopback.
func isPrivate(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && loopback.IsAddr(u.Hostname())
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

// asker sends the token of a file, if there is one. The token is for the hosts that the
// configuration names: where the metadata leads elsewhere, it stays here.
type asker struct {
	base      http.RoundTripper
	tokenFile string
	hosts     [2]string // may be empty
}

// RoundTrip implements http.RoundTripper.
func (a asker) RoundTrip(req *http.Request) (*http.Response, error) {
	if a.tokenFile != "" && (req.URL.Host == a.hosts[0] || req.URL.Host == a.hosts[1]) {
		token, err := os.ReadFile(a.tokenFile)
		if err != nil {
			return nil, err
		}
		req = req.Clone(req.Context())
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	return a.base.RoundTrip(req)
}
