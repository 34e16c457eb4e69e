package vault

import (
	"context"
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

// GetCredentials returns credentials that work now. It reads one record; only
// when the token is about to end does it ask the provider, once for all who are
// waiting.
func (v *Vault) GetCredentials(ctx context.Context, key Key) (Credentials, error) {
	key, p, err := v.check(key)
	if err != nil {
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
	now := v.now()
	switch assess(conn, now) {
	case renew:
		if conn, err = v.renew(ctx, id, p); err != nil {
			return Credentials{}, err
		}
	case reauthorize:
		return Credentials{}, errReauthorize(p, conn.GetProblem(), nil)
	}
	v.usage.mark(id, now)
	return credentialsOf(conn, p)
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
