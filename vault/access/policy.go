package access

import (
	"errors"
	"fmt"
	"time"
)

// Config is what a Policy is made of. The zero value lets nobody in.
type Config struct {
	Rules []Rule
	// Issuers are those whose JWTs the rules and SubjectTokens name.
	Issuers []Issuer
	// SubjectTokens says which tokens of users are believed. Nil: none are.
	SubjectTokens *SubjectTokens
	// Now is the clock. Nil: time.Now.
	Now func() time.Time
}

// Rule is what the operator has written of one caller: what it shows, of which any
// one will do, and what it may do. "*" in RPCs, Providers and Subjects stands for
// any run of characters. An empty list allows nothing.
type Rule struct {
	Name   string
	Tenant string

	Tokens   []TokenHash // several, so that they can be rotated
	SPIFFEID string      // of its certificate's URI SAN
	DNSName  string      // one of its certificate's DNS SANs
	JWT      *JWT

	RPCs      []string // names without the service: GetCredentials
	Providers []string
	Subjects  []string
	// NeedsSubjectToken has GetCredentials answer for users alone whose own token
	// comes with the request.
	NeedsSubjectToken bool
}

// Caller is an authenticated program. It is immutable and safe for concurrent
// use.
type Caller struct {
	name, tenant              string
	rpcs, providers, subjects patterns
	needsSubjectToken         bool
}

// Name returns the name that the operator gave the caller.
func (c *Caller) Name() string { return c.name }

// Tenant returns the tenant whose connections the caller works with.
func (c *Caller) Tenant() string { return c.tenant }

// MayCall reports whether the caller may call an RPC at all.
func (c *Caller) MayCall(rpc string) bool { return c.rpcs.match(rpc) }

// MaySee reports whether a connection of that subject and provider is within the
// caller's reach.
func (c *Caller) MaySee(subject, provider string) bool {
	return c.subjects.match(subject) && c.providers.match(provider)
}

// MayUseSubject and MayUseProvider are the two halves of MaySee, for requests
// that name only one.
func (c *Caller) MayUseSubject(subject string) bool { return c.subjects.match(subject) }

// MayUseProvider reports whether the provider is within the caller's reach.
func (c *Caller) MayUseProvider(provider string) bool { return c.providers.match(provider) }

// NeedsSubjectToken reports whether the caller gets credentials of those users
// alone whose own token it shows.
func (c *Caller) NeedsSubjectToken() bool { return c.needsSubjectToken }

// Policy is the set of callers. It is immutable and safe for concurrent use.
type Policy struct {
	authenticators []authenticator
	users          *users // nil: no token of a user is believed
}

// NewPolicy returns the policy of the rules. No rules: nobody may call. It asks no
// issuer yet.
func NewPolicy(c Config) (*Policy, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	issuers, err := newIssuers(c.Issuers, c.Now)
	if err != nil {
		return nil, err
	}
	certificates, tokens := newCertificates(c.Now), newStaticTokens()
	jwts := newJWTs(issuers, c.Now)
	names := make(map[string]bool, len(c.Rules))
	for _, rule := range c.Rules {
		if err := rule.check(names); err != nil {
			return nil, err
		}
		names[rule.Name] = true
		caller := rule.caller()
		if err := errors.Join(certificates.add(rule, caller), jwts.add(rule, caller), tokens.add(rule, caller)); err != nil {
			return nil, err
		}
	}
	p := &Policy{authenticators: []authenticator{certificates, jwts, tokens}}
	if c.SubjectTokens != nil {
		if p.users, err = newUsers(*c.SubjectTokens, issuers, c.Now); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (r Rule) check(names map[string]bool) error {
	switch {
	case r.Name == "" || r.Tenant == "":
		return fmt.Errorf("access: a caller needs a name and a tenant (caller %q)", r.Name)
	case len(r.Tokens) == 0 && r.SPIFFEID == "" && r.DNSName == "" && r.JWT == nil:
		return fmt.Errorf("access: caller %q has nothing to show who it is", r.Name)
	case names[r.Name]:
		return fmt.Errorf("access: two callers are named %q", r.Name)
	}
	return nil
}

func (r Rule) caller() *Caller {
	return &Caller{
		name:              r.Name,
		tenant:            r.Tenant,
		rpcs:              newPatterns(r.RPCs),
		providers:         newPatterns(r.Providers),
		subjects:          newPatterns(r.Subjects),
		needsSubjectToken: r.NeedsSubjectToken,
	}
}

// addCaller puts a caller under a name that must be its own.
func addCaller[K comparable](callers map[K]*Caller, key K, caller *Caller, what string) error {
	if other, twice := callers[key]; twice {
		return fmt.Errorf("access: callers %q and %q have the same %s", other.name, caller.name, what)
	}
	callers[key] = caller
	return nil
}
