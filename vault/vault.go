package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tokenvault/tokenvault/vault/keyring"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/store"
)

// Binding is how the vault makes sure that the person who finishes a flow is
// the one it was started for.
type Binding string

// The bindings.
const (
	// BindingConfirm: the host application says who has come back from the
	// provider, and the code is redeemed only if the flow was begun for them. See
	// [Vault.Confirm].
	BindingConfirm Binding = "confirm"
	// BindingLogin: the gateway signs the person in with the operator's OpenID
	// provider, before they leave for the provider, and looks who is signed in
	// when they are back. Subjects are what that provider calls people, then, and
	// they are people of one tenant: those of others connect nothing.
	BindingLogin Binding = "login"
	// BindingLink: whoever has the link may finish the flow. It is for
	// development.
	BindingLink Binding = "link"
)

// Config is what a Vault is made of.
type Config struct {
	// Store keeps the records. The Vault does not close it.
	Store store.Store
	// Keyring seals them: the one that OpenKeyring returns for Store.
	Keyring *keyring.Keyring
	// Providers by the names that requests use. Their redirect URL is
	// RedirectURL(PublicURL, name).
	Providers []*provider.Provider
	// PublicURL is where browsers reach the gateway, without a final slash.
	PublicURL string
	// ReturnURLs are the return URLs that Connect accepts: exact, or with one
	// trailing "*". None: Connect accepts no return_url.
	ReturnURLs []string
	// Binding must be set.
	Binding Binding
	// Identity signs people in. BindingLogin needs it.
	Identity IdentityProvider
	// IdentityTenant is the tenant of the people whom Identity signs in: a subject of
	// another tenant is somebody else, whatever the name. Empty: [DefaultTenant].
	IdentityTenant string
	// ConsentPage has a page say whose account is to be connected before a browser
	// leaves for the provider.
	ConsentPage bool
	// Portal are the providers that the portal shows to people who sign in with
	// Identity without a link of a host application. Empty: they see nothing.
	Portal []string
	// Logger gets one line for each event worth an audit. Nil: none.
	Logger *slog.Logger
	// Now is the clock. Nil: time.Now.
	Now func() time.Time
}

// Vault is the engine. It is safe for concurrent use.
type Vault struct {
	store       store.Store
	records     records
	blind       blind
	providers   map[string]*provider.Provider
	returnTo    returnURLs
	publicURL   string
	binding     Binding
	identity    IdentityProvider
	tenant      string // Config.IdentityTenant
	consentPage bool   // Config.ConsentPage
	portal      []string
	waiting     portalWaiters
	log         *slog.Logger
	now         func() time.Time
	usage       usage

	breakers breakers
	queues   map[string]providerQueues // by the names of providers

	secrets  clientSecrets
	renewals renewals
	unsaved  unsaved
	// work counts what runs on contexts of its own, for Run to wait for.
	work sync.WaitGroup
}

// New returns a Vault. Its background work starts with Run.
func New(ctx context.Context, c Config) (*Vault, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	returnTo, err := newReturnURLs(c.ReturnURLs)
	if err != nil {
		return nil, err
	}
	v := &Vault{
		store:       c.Store,
		records:     records{store: c.Store, keyring: c.Keyring},
		blind:       newBlind(c.Keyring),
		providers:   make(map[string]*provider.Provider, len(c.Providers)),
		returnTo:    returnTo,
		publicURL:   c.PublicURL,
		binding:     c.Binding,
		identity:    c.Identity,
		tenant:      cmp.Or(c.IdentityTenant, DefaultTenant),
		consentPage: c.ConsentPage,
		portal:      c.Portal,
		log:         c.Logger,
		now:         c.Now,
		usage:       newUsage(),
		breakers:    breakers{hosts: make(map[string]*breaker, len(c.Providers))},
		queues:      make(map[string]providerQueues, len(c.Providers)),
		secrets:     newClientSecrets(),
		renewals:    renewals{running: make(map[string]*renewal)},
		unsaved:     unsaved{kept: make(map[string]refreshed)},
	}
	if v.log == nil {
		v.log = slog.New(slog.DiscardHandler)
	}
	if v.now == nil {
		v.now = time.Now
	}
	for _, p := range c.Providers {
		if _, twice := v.providers[p.Name()]; twice {
			return nil, fmt.Errorf("vault: two providers are named %q", p.Name())
		}
		v.providers[p.Name()] = p
		if v.queues[p.Name()], err = v.newQueues(p); err != nil {
			return nil, err
		}
		if err := v.loadSecret(ctx, p); err != nil {
			return nil, fmt.Errorf("client secret of provider %s: %w", p.Name(), err)
		}
	}
	return v, nil
}

// check says what is missing or not known.
func (c Config) check() error {
	if c.Store == nil || c.Keyring == nil {
		return errors.New("vault: Config needs a Store and a Keyring")
	}
	switch c.Binding {
	case BindingConfirm, BindingLink:
	case BindingLogin:
		if c.Identity == nil {
			return errors.New("vault: binding login needs an identity provider")
		}
	default:
		return fmt.Errorf("vault: binding %q is not known", c.Binding)
	}
	return nil
}

// RedirectURL is the redirect URI of a provider: what the operator registers
// there. Each provider has its own, so that an answer cannot be mistaken for
// another's (RFC 9700, section 4.4).
func RedirectURL(publicURL, providerName string) string {
	return publicURL + "/oauth/" + providerName + "/callback"
}

// LoginRedirectURL is the vault's redirect URI at the operator's OpenID provider.
func LoginRedirectURL(publicURL string) string { return publicURL + "/login/callback" }

// Run does the background work until ctx ends: tokens to refresh ahead of their
// end, account details that are still to be fetched, revocations that are still to
// be confirmed, device flows that wait for their person, client secrets that other
// processes rotate, times of last use, records past their end. Then it waits for
// what is under way on behalf of callers, and returns nil.
func (v *Vault) Run(ctx context.Context) error {
	var loops sync.WaitGroup
	for _, q := range v.queues {
		loops.Go(func() { q.run(ctx) })
	}
	loops.Go(func() { v.runSecrets(ctx) })
	loops.Go(func() { v.runUsage(ctx) })
	loops.Go(func() { v.runSweep(ctx) })
	loops.Wait()
	v.work.Wait()
	return nil
}

// check validates a Key and finds its provider.
func (v *Vault) check(k Key) (Key, *provider.Provider, error) {
	k, err := k.checked()
	if err != nil {
		return Key{}, nil, err
	}
	p, ok := v.providers[k.Provider]
	if !ok {
		return Key{}, nil, &Error{
			Reason:  ProviderUnknown,
			Field:   "provider",
			Message: fmt.Sprintf("provider: %q is not configured here; ask the operator of this vault for the names in use", k.Provider),
		}
	}
	return k, p, nil
}

// named is check for where a connection is meant: it also returns the
// connection's store key.
func (v *Vault) named(k Key) (key Key, p *provider.Provider, id string, err error) {
	if key, p, err = v.check(k); err != nil {
		return Key{}, nil, "", err
	}
	id, err = v.blind.connection(key)
	return key, p, id, err
}

// detachedTime bounds what is done for a caller but must not end with the
// caller's patience: redeeming a code, using a refresh token. It is longer than
// the time a provider has for one answer, twice.
const detachedTime = 75 * time.Second

// detach returns a context that keeps ctx's values but not its end.
func detach(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), detachedTime)
}

// detached returns a context like detach's for work that Run waits for. done has to
// be called at its end.
func (v *Vault) detached(ctx context.Context) (detached context.Context, done func()) {
	detached, cancel := detach(ctx)
	v.work.Add(1)
	return detached, func() {
		v.work.Done()
		cancel()
	}
}
