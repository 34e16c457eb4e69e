package vault

import (
	"context"
	"fmt"
	"log/slog"
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

// Source says what credentials come from.
type Source int

// The sources.
const (
	SourceOAuth Source = iota + 1
	SourceAPIKey
)

// Credentials are what a program needs to call the provider's API now. Maps and
// slices are shared: nobody may change them.
type Credentials struct {
	Source Source
	// AccessToken, TokenType (as in RFC 6749, section 7.1) and Scopes are set for
	// SourceOAuth.
	AccessToken secret.String
	TokenType   string
	Scopes      []string
	// APIKey is set for SourceAPIKey.
	APIKey secret.String
	// Headers are to be sent to the provider's API. They hold the secret.
	Headers    secret.Map
	ExpireTime time.Time // zero: does not expire
	APIBaseURL string    // empty: the definition has none
	Metadata   map[string]string
	Account    Account
	Generation int64
}

// CredentialsRequest asks for credentials.
type CredentialsRequest struct {
	Key Key
	// MinTTL is the life that the token must have left. One with less is
	// refreshed first. Where the provider does not issue tokens that live as
	// long, the best to be had is returned. 0: 60 seconds.
	MinTTL time.Duration
	// RequiredScopes must all have been granted. To an API key scopes mean
	// nothing.
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
	rec, err := v.store.Get(ctx, connectionKey(name.id))
	if err != nil {
		name.answer.forget()
		return Credentials{}, readError(err)
	}
	now, w := v.now(), want{minTTL: r.MinTTL}
	creds, ok := name.answer.get(rec.Revision, now, w)
	if !ok {
		if creds, err = v.answer(ctx, name, p, rec, now, w); err != nil {
			return Credentials{}, err
		}
	}
	if creds.Source == SourceOAuth {
		if err := checkGranted(p, creds.Scopes, r.RequiredScopes); err != nil {
			return Credentials{}, err
		}
	}
	v.usage.mark(name.id, now)
	return creds, nil
}

// answer opens the record, and has the grant renewed if need be. An API key
// stands in where the grant does not work.
func (v *Vault) answer(ctx context.Context, name *known, p *provider.Provider, rec store.Record, now time.Time, w want) (Credentials, error) {
	conn := new(storagev1.Connection)
	if err := v.records.open(rec, conn); err != nil {
		return Credentials{}, err
	}
	switch w.assess(conn, now) {
	case renew:
		renewed, err := v.renew(ctx, name.id, p, w)
		if err != nil {
			return v.keyInstead(ctx, name.id, p, err)
		}
		return credentialsOf(renewed, p)
	case reauthorize:
		if conn.GetApiKey() == nil {
			return Credentials{}, errReauthorize(p, conn.GetProblem(), nil)
		}
		creds, err := keyCredentials(conn, p)
		if err != nil {
			return Credentials{}, err
		}
		v.blind.known.answers.keep(&name.answer, &answer{revision: rec.Revision, creds: creds})
		return creds, nil
	}
	creds, err := credentialsOf(conn, p)
	if err != nil {
		return Credentials{}, err
	}
	v.blind.known.answers.keep(&name.answer, &answer{revision: rec.Revision, creds: creds, life: lifeOfGrant(conn.GetGrant())})
	return creds, nil
}

// keyInstead returns the credentials of the API key, if there is one, where the
// grant does not work for a reason that is the provider's.
func (v *Vault) keyInstead(ctx context.Context, id string, p *provider.Provider, cause error) (Credentials, error) {
	switch ReasonOf(cause) {
	case ProviderUnavailable, ProviderMisconfigured, ReauthorizationRequired, NotConnected:
	default:
		return Credentials{}, cause
	}
	current, err := v.read(ctx, id)
	if err != nil || current.GetApiKey() == nil {
		return Credentials{}, cause
	}
	v.log.LogAttrs(ctx, slog.LevelInfo, "the API key stands in", append(keyAttrs(keyOf(current.GetKey())), slog.Any("cause", cause))...)
	return keyCredentials(current, p)
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
	g, a := c.GetGrant(), c.GetAccount()
	bound, err := bindStored(p, g.GetParams())
	if err != nil {
		return Credentials{}, err
	}
	base, err := bound.APIBaseURL(c.GetMetadata())
	if err != nil {
		return Credentials{}, doesNotFit(p, err)
	}
	token := secret.New(g.GetAccessToken())
	return Credentials{
		Source:      SourceOAuth,
		AccessToken: token,
		TokenType:   g.GetTokenType(),
		Scopes:      g.GetScopes(),
		Headers:     secret.NewMap(bound.Headers(token, g.GetTokenType(), c.GetMetadata())),
		ExpireTime:  timeOf(g.GetExpireTime()),
		APIBaseURL:  base,
		Metadata:    c.GetMetadata(),
		Account:     Account{ID: a.GetId(), Name: a.GetName(), Email: a.GetEmail()},
		Generation:  c.GetGeneration(),
	}, nil
}
