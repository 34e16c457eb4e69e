package access

import (
	"errors"
	"fmt"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// ErrUnknown says that a credential belongs to no caller.
var ErrUnknown = errors.New("access: unknown caller")

// Rule is what the operator has written of one caller. "*" in RPCs, Providers
// and Subjects stands for any run of characters. An empty list allows nothing.
type Rule struct {
	Name      string
	Token     TokenHash
	Tenant    string
	RPCs      []string // names without the service: GetCredentials
	Providers []string
	Subjects  []string
}

// Caller is an authenticated program. It is immutable and safe for concurrent
// use.
type Caller struct {
	name, tenant              string
	rpcs, providers, subjects patterns
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

// Policy is the set of callers. It is immutable and safe for concurrent use.
type Policy struct {
	callers map[TokenHash]*Caller
}

// NewPolicy returns the policy of the rules. No rules: nobody may call.
func NewPolicy(rules []Rule) (*Policy, error) {
	p := &Policy{callers: make(map[TokenHash]*Caller, len(rules))}
	names := make(map[string]bool, len(rules))
	for _, r := range rules {
		if r.Name == "" || r.Tenant == "" || r.Token == (TokenHash{}) {
			return nil, fmt.Errorf("access: a caller needs a name, a tenant and a token hash (caller %q)", r.Name)
		}
		if r.Token == hashOfNothing() {
			return nil, fmt.Errorf("access: the token hash of caller %q is that of the empty text", r.Name)
		}
		if names[r.Name] {
			return nil, fmt.Errorf("access: two callers are named %q", r.Name)
		}
		names[r.Name] = true
		if other, twice := p.callers[r.Token]; twice {
			return nil, fmt.Errorf("access: callers %q and %q have the same token", other.name, r.Name)
		}
		p.callers[r.Token] = &Caller{
			name:      r.Name,
			tenant:    r.Tenant,
			rpcs:      newPatterns(r.RPCs),
			providers: newPatterns(r.Providers),
			subjects:  newPatterns(r.Subjects),
		}
	}
	return p, nil
}

// Authenticate returns the caller of a token, or ErrUnknown. Nobody has the empty
// token.
//
// The time of the look-up depends on the token's hash alone. To learn anything
// of a stored hash from it, one would need tokens with hashes of one's choice.
func (p *Policy) Authenticate(token secret.String) (*Caller, error) {
	if token.IsZero() {
		return nil, ErrUnknown
	}
	caller, ok := p.callers[HashToken(token)]
	if !ok {
		return nil, ErrUnknown
	}
	return caller, nil
}
