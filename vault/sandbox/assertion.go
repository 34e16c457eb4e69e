package sandbox

import (
	"encoding/json"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// assertionType says that a client assertion is a JWT (RFC 7523, section 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// maxAssertionLife is the longest life of an assertion that is accepted.
const maxAssertionLife = 10 * time.Minute

// claims are those of a client assertion (RFC 7523, section 3).
type claims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	ID       string `json:"jti"`
	Expires  int64  `json:"exp"`
}

// asserted reports whether a request proves that the client has one of its keys.
// An assertion is accepted once.
func (s *Sandbox) asserted(form url.Values, c Client, tokenURL, issuer string) bool {
	if form.Get("client_assertion_type") != assertionType {
		return false
	}
	signed, err := jose.ParseSignedCompact(form.Get("client_assertion"),
		[]jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA})
	if err != nil {
		return false
	}
	for _, key := range c.PublicKeys {
		payload, err := signed.Verify(key)
		if err != nil {
			continue
		}
		var said claims
		if json.Unmarshal(payload, &said) != nil {
			return false
		}
		right := said.Issuer == c.ID && said.Subject == c.ID && (said.Audience == tokenURL || said.Audience == issuer && issuer != "")
		return right && s.firstUse(said)
	}
	return false
}

// firstUse notes an assertion, and reports whether it can be used: now, and for
// the first time.
func (s *Sandbox) firstUse(said claims) bool {
	now, end := s.config.Now(), time.Unix(said.Expires, 0)
	s.clients.mu.Lock()
	defer s.clients.mu.Unlock()
	for id, end := range s.clients.used {
		if now.After(end) {
			delete(s.clients.used, id)
		}
	}
	_, again := s.clients.used[said.ID]
	if said.ID == "" || again || !now.Before(end) || end.Sub(now) > maxAssertionLife {
		return false
	}
	s.clients.used[said.ID] = end
	return true
}
