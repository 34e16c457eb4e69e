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
// slices belong to the caller.
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
	key, p, err := v.check(r.Key)
	if err != nil {
		return Credentials{}, err
	}
	if err := r.check(); err != nil {
		return Credentials{}, err
	}
	id, err := v.blind.connection(key)
	if err != nil {
		return Credentials{}, err
	}
	conn := new(storagev1.Connection)
	if _, err := v.records.get(ctx, store.Key{Kind: kindConnections, ID: id}, conn); err != nil {
		return Credentials{}, v.readError(err)
	}
	now, w := v.now(), want{minTTL: r.MinTTL}
	switch w.assess(conn, now) {
	case renew:
		if conn, err = v.renew(ctx, id, p, w); err != nil {
			return Credentials{}, err
		}
	case reauthorize:
		return Credentials{}, errReauthorize(p, conn.GetProblem(), nil)
	}
	if err := checkGranted(p, conn.GetGrant().GetScopes(), r.RequiredScopes); err != nil {
		return Credentials{}, err
	}
	v.usage.mark(id, now)
	return credentialsOf(conn, p)
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
		return Credentials{}, unavailable(p, err)
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
