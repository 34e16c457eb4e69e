package sandbox

import (
	"crypto/subtle"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// clients is what is known of the apps besides their registration.
type clients struct {
	mu      sync.Mutex
	secrets map[string][]string  // by client id, where they were changed
	used    map[string]time.Time // ids of assertions, with their end
}

func newClients() clients {
	return clients{secrets: map[string][]string{}, used: map[string]time.Time{}}
}

// SetSecrets has a client authenticate with one of these secrets from now on, and
// no others: with the new one alone where a provider swaps them at once, with both
// where it lets them overlap.
func (s *Sandbox) SetSecrets(clientID string, secrets ...string) {
	s.clients.mu.Lock()
	defer s.clients.mu.Unlock()
	s.clients.secrets[clientID] = slices.Clone(secrets)
}

// accepts reports whether a secret is the client's.
func (s *Sandbox) accepts(c Client, secret string) bool {
	s.clients.mu.Lock()
	defer s.clients.mu.Unlock()
	accepted, changed := s.clients.secrets[c.ID]
	if !changed {
		accepted = []string{c.Secret}
	}
	return slices.ContainsFunc(accepted, func(one string) bool { return same(one, secret) })
}

// client returns the app that is registered under an id, as it authenticates at
// that provider.
func (s *Sandbox) client(id string, d dialect) (Client, bool) {
	registered := s.config.Clients
	if d.script != nil && d.script.Clients != nil {
		registered = d.script.Clients
	}
	for _, c := range registered {
		if c.ID != id {
			continue
		}
		if d.script != nil && d.script.Auth != "" {
			c.Auth = d.script.Auth
		}
		return c, true
	}
	return Client{}, false
}

// authenticate accepts a client in the one way it is registered for.
func (s *Sandbox) authenticate(r *http.Request, form url.Values, d dialect) (Client, bool) {
	id, secret := form.Get("client_id"), form.Get("client_secret")
	user, password, basic := r.BasicAuth()
	if basic {
		var err1, err2 error
		user, err1 = url.QueryUnescape(user)
		password, err2 = url.QueryUnescape(password)
		if err1 != nil || err2 != nil || secret != "" || id != "" && id != user {
			return Client{}, false
		}
		id = user
	}
	client, ok := s.client(id, d)
	if !ok {
		return Client{}, false
	}
	asserts := form.Has("client_assertion") || form.Has("client_assertion_type")
	switch client.Auth {
	case AuthPrivateKeyJWT:
		return client, !basic && secret == "" && s.asserted(form, client, d.tokenURL(r), d.issuerOf(r))
	case AuthBasic:
		return client, basic && !asserts && s.accepts(client, password)
	case AuthPost:
		return client, !basic && !asserts && s.accepts(client, secret)
	default:
		return client, !basic && !asserts && secret == ""
	}
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
