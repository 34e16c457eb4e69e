package vault

import (
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/keyring"
	"github.com/tokenvault/tokenvault/vault/provider"
)

// DefaultTenant is the tenant of callers for whom the operator has named none.
const DefaultTenant = "default"

// DefaultLabel is the label of a connection for which the caller named none.
const DefaultLabel = "default"

// MaxSubject is the longest subject, in bytes.
const MaxSubject = 256

// Key names a connection. Tenant comes from the caller's identity; the rest
// from the request. An empty Label means [DefaultLabel].
type Key struct {
	Tenant, Subject, Provider, Label string
}

// labelPattern is what a label may be.
var labelPattern = regexp.MustCompile(`\A[A-Za-z0-9._-]{1,64}\z`)

// checked returns k with the defaults filled in, or an Error that names the field
// at fault.
func (k Key) checked() (Key, error) {
	if k.Label == "" {
		k.Label = DefaultLabel
	}
	if err := checkSubject(k.Subject); err != nil {
		return Key{}, err
	}
	if !provider.ValidName(k.Provider) {
		return Key{}, invalid(InvalidProvider, "provider", providerRule(k.Provider))
	}
	if k.Label != DefaultLabel && !labelPattern.MatchString(k.Label) {
		return Key{}, invalid(InvalidLabel, "label", "1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'")
	}
	return k, nil
}

// providerRule says what is wrong with a name that no provider can have.
func providerRule(name string) string {
	switch {
	case name == "":
		return "is missing"
	case provider.ValidName(strings.ToLower(name)):
		return "must be lower case"
	default:
		return "1 to 63 of a-z, 0-9 and '-', not beginning with '-'"
	}
}

func checkSubject(subject string) error {
	const message = "1 to 256 bytes of printable UTF-8"
	if subject == "" {
		return invalid(InvalidSubject, "subject", "is missing")
	}
	if len(subject) > MaxSubject || !isPrintable(subject) {
		return invalid(InvalidSubject, "subject", message)
	}
	return nil
}

// isPrintable reports whether s is UTF-8 without control characters.
func isPrintable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// blind makes store keys. A connection's is three blind names in a row (tenant,
// subject, connection), so that the file shows neither who nor what, and the
// connections of a subject still lie side by side. Each name takes in those
// above it, so that the same subject in two tenants looks like two.
type blind struct {
	keyring *keyring.Keyring
	// known spares the hot path the checks and six hashes for names seen lately.
	// Names are checked before they get here.
	known *blindCache
}

// maxKnown bounds the cache: some ten MiB.
const maxKnown = 1 << 16

// blindCache remembers connections by name. When it is full it starts anew: what
// is asked for often is soon back.
type blindCache struct {
	mu    sync.RWMutex
	names map[Key]*known

	answers answers
}

// known is what is remembered of a connection.
type known struct {
	id     string // its store key
	answer slot
}

func newBlind(k *keyring.Keyring) blind {
	return blind{keyring: k, known: &blindCache{names: make(map[Key]*known)}}
}

// get returns nil for a name that is not known.
func (c *blindCache) get(k Key) *known {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.names[k]
}

func (c *blindCache) put(k Key, id string) *known {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.names) >= maxKnown {
		clear(c.names)
	}
	name := &known{id: id}
	// The strings of a request may lie in a larger buffer: keep copies.
	c.names[Key{strings.Clone(k.Tenant), strings.Clone(k.Subject), strings.Clone(k.Provider), strings.Clone(k.Label)}] = name
	return name
}

func (b blind) tenant(tenant string) (string, error) {
	return b.keyring.Blind("tenant", tenant)
}

func (b blind) subject(tenant, subject string) (string, error) {
	prefix, err := b.tenant(tenant)
	if err != nil {
		return "", err
	}
	id, err := b.keyring.Blind("subject", tenant, subject)
	return prefix + id, err
}

func (b blind) connection(k Key) (string, error) {
	name, err := b.name(k)
	if err != nil {
		return "", err
	}
	return name.id, nil
}

// name returns what is known of a connection, its store key at least.
func (b blind) name(k Key) (*known, error) {
	if name := b.known.get(k); name != nil {
		return name, nil
	}
	prefix, err := b.subject(k.Tenant, k.Subject)
	if err != nil {
		return nil, err
	}
	id, err := b.keyring.Blind("connection", k.Tenant, k.Subject, k.Provider, k.Label)
	if err != nil {
		return nil, err
	}
	return b.known.put(k, prefix+id), nil
}

// provider begins the store keys of what waits for a provider.
func (b blind) provider(name string) (string, error) { return b.keyring.Blind("provider", name) }

// These hash what a browser brings, so that a copy of the
// store does not let anybody finish a flow.
func (b blind) session(session string) (string, error) { return b.keyring.Blind("session", session) }
func (b blind) flow(state string) (string, error)      { return b.keyring.Blind("flow", state) }
func (b blind) login(state string) (string, error)     { return b.keyring.Blind("login", state) }
func (b blind) signIn(cookie string) (string, error)   { return b.keyring.Blind("sign-in", cookie) }
func (b blind) portalLink(link string) (string, error) { return b.keyring.Blind("portal-link", link) }
func (b blind) confirmation(confirmation string) (string, error) {
	return b.keyring.Blind("confirmation", confirmation)
}

// keyAttrs names a connection in the log.
func keyAttrs(k Key) []slog.Attr {
	return []slog.Attr{
		slog.String("tenant", k.Tenant),
		slog.String("subject", k.Subject),
		slog.String("provider", k.Provider),
		slog.String("label", k.Label),
	}
}

func keyRecord(k Key) *storagev1.ConnectionKey {
	return &storagev1.ConnectionKey{Tenant: k.Tenant, Subject: k.Subject, Provider: k.Provider, Label: k.Label}
}

func keyOf(r *storagev1.ConnectionKey) Key {
	return Key{Tenant: r.GetTenant(), Subject: r.GetSubject(), Provider: r.GetProvider(), Label: r.GetLabel()}
}
