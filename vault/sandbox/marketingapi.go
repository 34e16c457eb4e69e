package sandbox

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"

	"github.com/tokenvault/tokenvault/vault/sandbox/marketing"
)

// mailchimpConnections is how many requests Mailchimp works on at a time for one
// account.
const mailchimpConnections = 10

// marketing is the account as the Marketing API knows it.
func (a Account) marketing() marketing.Account {
	return marketing.Account{ID: a.ID, Name: a.Name, Person: a.Person, Email: a.Email, DataCenter: a.DataCenter, ReadOnly: a.ReadOnly}
}

// DefaultAPIKey is the API key of the first of DefaultAccounts. It is no secret:
// everybody who has this source knows it.
func DefaultAPIKey() string {
	return "0123456789abcdef0123456789abcdef-" + DefaultAccounts()[0].DataCenter
}

// DefaultAPIKeys are those of the Marketing API that DefaultAccounts have.
func DefaultAPIKeys() map[string]int {
	ada, grace := DefaultAccounts()[0], DefaultAccounts()[1]
	return map[string]int{DefaultAPIKey(): ada.ID, "fedcba9876543210fedcba9876543210-" + grace.DataCenter: grace.ID}
}

// apiKeys returns the keys of a Config, checked.
func (c Config) apiKeys() (map[string]int, error) {
	keys := c.APIKeys
	if keys == nil {
		keys = DefaultAPIKeys()
		maps.DeleteFunc(keys, func(key string, id int) bool { return c.checkKey(key, id) != nil })
	}
	for key, id := range keys {
		if err := c.checkKey(key, id); err != nil {
			return nil, err
		}
	}
	return maps.Clone(keys), nil
}

func (c Config) checkKey(key string, id int) error {
	for _, a := range c.Accounts {
		if a.ID != id {
			continue
		}
		if !strings.HasSuffix(key, "-"+a.DataCenter) {
			return fmt.Errorf("an API key of account %d does not end in -%s, its data center", id, a.DataCenter)
		}
		return nil
	}
	return fmt.Errorf("an API key is of account %d, which is not among the accounts", id)
}

// connections counts the requests to the Marketing API that are under way, by
// account.
type connections struct {
	mu  sync.Mutex
	now map[int]int
}

// open counts one. ok is false where it is one too many; done is called at its end
// either way.
func (c *connections) open(account, limit int) (done func(), ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now[account]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.now[account]--
	}, limit <= 0 || c.now[account] <= limit
}

// marketingAPI is Mailchimp's. The real one has the data center in its host name,
// this one in its path. A request that a fault delays counts as a connection.
func (s *Sandbox) marketingAPI() http.Handler {
	answer := s.faulty(API, s.callMarketing)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a, ok := s.apiCaller(r); ok {
			done, ok := s.connections.open(a.ID, s.config.MaxConnections)
			defer done()
			if !ok {
				s.requests.refuse(API, s.config)
				marketing.TooManyRequests(s.config.MaxConnections).Write(w)
				return
			}
		}
		answer.ServeHTTP(w, r)
	})
}

func (s *Sandbox) callMarketing(w http.ResponseWriter, r *http.Request) {
	a, ok := s.apiCaller(r)
	dc := r.PathValue("dc")
	switch {
	case r.Header.Get("Authorization") == "":
		marketing.KeyMissing().Write(w)
		return
	case !ok || a.DataCenter != dc:
		marketing.KeyInvalid().Write(w)
		return
	}
	prefix, scheme := "/mailchimp/"+dc+"/3.0", "http"
	if r.TLS != nil {
		scheme = "https"
	}
	http.StripPrefix(prefix, s.marketing.For(a.marketing(), scheme+"://"+r.Host+prefix)).ServeHTTP(w, r)
}

// apiCaller returns whose credentials a request to the Marketing API has: a token
// or an API key as Bearer, or a key as the password of whatever user.
func (s *Sandbox) apiCaller(r *http.Request) (Account, bool) {
	if a, ok := s.bearer(r, "Bearer", "OAuth"); ok {
		return a, true
	}
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if _, password, ok := r.BasicAuth(); ok {
		key = password
	} else if !strings.EqualFold(scheme, "Bearer") {
		return Account{}, false
	}
	for known, id := range s.apiKeys {
		if same(known, key) {
			return s.account(id)
		}
	}
	return Account{}, false
}
