package vault

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/store"
)

// Account is who a connection is at the provider. Empty fields are not known.
type Account struct {
	ID, Name, Email string
}

// Credentials are what a program needs to call the provider's API now. Maps and
// slices are shared: nobody may change them.
type Credentials struct {
	AccessToken secret.String
	TokenType   string // as in RFC 6749, section 7.1
	Scopes      []string
	ExpireTime  time.Time // zero: does not expire
	APIBaseURL  string    // empty: the definition has none
	Metadata    map[string]string
	Account     Account
	Generation  int64
}

// Headers returns the HTTP headers to send to the provider's API, in the clear.
func (c Credentials) Headers() map[string]string {
	return map[string]string{"Authorization": c.TokenType + " " + c.AccessToken.Reveal()}
}

// CredentialsRequest asks for credentials.
type CredentialsRequest struct {
	Key Key
	// MinTTL is the life that the token must have left. One with less is
	// refreshed first. Where the provider does not issue tokens that live as
	// long, the best to be had is returned. 0: 60 seconds.
	MinTTL time.Duration
	// RequiredScopes must all have been granted.
	RequiredScopes []string
}

// maxMinTTL bounds what can be asked for.
const maxMinTTL = 24 * time.Hour

func (r CredentialsRequest) check() error {
	if r.MinTTL < 0 || r.MinTTL > maxMinTTL {
		return invalid(InvalidMinTTL, "min_ttl", "0 to 24 hours")
	}
	if err := checkScopes(InvalidRequiredScopes, "required_scopes", r.RequiredScopes); err != nil {
		return err
	}
	return nil
}

// GetCredentials returns credentials that work now. It reads one record; only
// when the token is about to end does it ask the provider, once for all who are
// waiting.
func (v *Vault) GetCredentials(ctx context.Context, r CredentialsRequest) (Credentials, error) {
	name, p, err := v.find(r.Key)
	if err != nil {
		return Credentials{}, err
	}
	if err := r.check(); err != nil {
		return Credentials{}, err
	}
	rec, err := v.store.Get(ctx, store.Key{Kind: kindConnections, ID: name.id})
	if err != nil {
		name.answer.forget()
		return Credentials{}, v.readError(err)
	}
	now, w := v.now(), want{minTTL: r.MinTTL}
	creds, ok := name.answer.get(rec.Revision, now, w)
	if !ok {
		if creds, err = v.answer(ctx, name, p, rec, now, w); err != nil {
			return Credentials{}, err
		}
	}
	if err := checkGranted(p, creds.Scopes, r.RequiredScopes); err != nil {
		return Credentials{}, err
	}
	v.usage.mark(name.id, now)
	return creds, nil
}

// answer opens the record, and has the grant renewed if need be.
func (v *Vault) answer(ctx context.Context, name *known, p *provider.Provider, rec store.Record, now time.Time, w want) (Credentials, error) {
	conn := new(storagev1.Connection)
	if err := v.records.open(rec, conn); err != nil {
		return Credentials{}, err
	}
	switch w.assess(conn, now) {
	case renew:
		conn, err := v.renew(ctx, name.id, p, w)
		if err != nil {
			return Credentials{}, err
		}
		return credentialsOf(conn, p)
	case reauthorize:
		return Credentials{}, errReauthorize(p, conn.GetProblem(), nil)
	}
	creds, err := credentialsOf(conn, p)
	if err != nil {
		return Credentials{}, err
	}
	v.blind.known.answers.keep(&name.answer, &answer{revision: rec.Revision, creds: creds, life: lifeOfGrant(conn.GetGrant())})
	return creds, nil
}

// find returns what is known of a connection, and its provider. A name that was
// seen lately was checked then.
func (v *Vault) find(key Key) (*known, *provider.Provider, error) {
	named := key
	if named.Label == "" {
		named.Label = DefaultLabel
	}
	if name := v.blind.known.get(named); name != nil {
		if p, ok := v.providers[key.Provider]; ok {
			return name, p, nil
		}
	}
	key, p, err := v.check(key)
	if err != nil {
		return nil, nil, err
	}
	name, err := v.blind.name(key)
	return name, p, err
}

// checkGranted returns an error that names the scopes that were not granted.
func checkGranted(p *provider.Provider, granted, required []string) error {
	var missing []string
	for _, scope := range required {
		if !slices.Contains(granted, scope) {
			missing = append(missing, scope)
		}
	}
	if missing == nil {
		return nil
	}
	list := strings.Join(missing, " ")
	return &Error{
		Reason:   ScopesMissing,
		Message:  fmt.Sprintf("%s has not granted: %s. Call Connect with these scopes and have the person open the link.", p.DisplayName(), list),
		Metadata: map[string]string{"missing_scopes": list},
	}
}

func credentialsOf(c *storagev1.Connection, p *provider.Provider) (Credentials, error) {
	base, err := p.APIBaseURL(c.GetMetadata())
	if err != nil {
		return Credentials{}, &Error{
			Reason:  ProviderMisconfigured,
			Message: fmt.Sprintf("What %s told of this account does not fit the definition of provider %q. The operator has to check api_base_url and after_connect; the connection stays as it is.", p.DisplayName(), p.Name()),
			Err:     err,
		}
	}
	g, a := c.GetGrant(), c.GetAccount()
	creds := Credentials{
		AccessToken: secret.New(g.GetAccessToken()),
		TokenType:   g.GetTokenType(),
		Scopes:      g.GetScopes(),
		APIBaseURL:  base,
		Metadata:    c.GetMetadata(),
		Account:     Account{ID: a.GetId(), Name: a.GetName(), Email: a.GetEmail()},
		Generation:  c.GetGeneration(),
	}
	if g.GetExpireTime() != nil {
		creds.ExpireTime = g.GetExpireTime().AsTime()
	}
	return creds, nil
}
