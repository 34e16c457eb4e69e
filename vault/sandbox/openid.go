package sandbox

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// signing is what the standard provider signs JWTs with. The key is made with the
// sandbox and kept nowhere: what it has signed is worth nothing to anybody later.
type signing struct {
	public                 jose.JSONWebKey
	idTokens, accessTokens jose.Signer
}

func newSigning() (signing, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return signing{}, err
	}
	private := jose.JSONWebKey{Key: key, KeyID: newID(), Algorithm: string(jose.ES256), Use: "sig"}
	by := jose.SigningKey{Algorithm: jose.ES256, Key: private}
	idTokens, err1 := jose.NewSigner(by, new(jose.SignerOptions).WithType("JWT"))
	accessTokens, err2 := jose.NewSigner(by, new(jose.SignerOptions).WithType("at+jwt"))
	return signing{public: private.Public(), idTokens: idTokens, accessTokens: accessTokens}, errors.Join(err1, err2)
}

// sign returns a JWT with these claims, and one that says that it is made up.
func sign(by jose.Signer, claims map[string]any) string {
	claims["sandbox"] = true
	token, _ := jwt.Signed(by).Claims(claims).Serialize() // never fails: they are texts and numbers
	return token
}

// keys are for whoever verifies what the sandbox has signed (RFC 7517).
func (s *Sandbox) keys(w http.ResponseWriter, _ *http.Request, _ dialect) {
	writeJSON(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{s.signing.public}})
}

// isOpenID reports whether people can sign in at a provider.
func (d dialect) isOpenID() bool { return d.script == nil && d.issuer }

// identity is who a person is to the apps where they sign in.
func (a Account) identity() map[string]any {
	who := map[string]any{"sub": strconv.Itoa(a.ID), "name": a.Person, "email": a.Email, "email_verified": true}
	if a.Username != "" {
		who["preferred_username"] = a.Username
	}
	return who
}

// addIDToken adds an ID token where a person has signed in (OpenID Connect Core 1.0,
// section 3.1.3.3).
func (s *Sandbox) addIDToken(a *answer, d dialect, t accessToken) {
	account, ok := s.account(t.Account)
	if !ok || !d.isOpenID() || !slices.Contains(strings.Fields(t.Scope), "openid") {
		return
	}
	now := s.config.Now()
	claims := map[string]any{"iss": d.self, "aud": t.Client, "iat": now.Unix(), "exp": now.Add(s.config.TokenLifetime).Unix()}
	if t.Nonce != "" {
		claims["nonce"] = t.Nonce
	}
	maps.Copy(claims, account.identity())
	a.fields["id_token"] = sign(s.signing.idTokens, claims)
}

// accessText makes the text of an access token: a JWT (RFC 9068) where it is for a
// resource, which has to read it, and otherwise one that says nothing.
func (s *Sandbox) accessText(d dialect, t accessToken) string {
	if t.Resource == "" || !d.isOpenID() {
		return newID()
	}
	claims := map[string]any{"sub": t.Client} // the client's own
	if account, ok := s.account(t.Account); ok {
		claims = account.identity()
	}
	maps.Copy(claims, map[string]any{
		"iss": d.self, "aud": t.Resource, "client_id": t.Client, "scope": t.Scope, "jti": newID(),
		"iat": s.config.Now().Unix(), "exp": t.ExpireTime.Unix(),
	})
	return sign(s.signing.accessTokens, claims)
}

// isResource reports whether a text can name who a token is for (RFC 8707, section 2).
// Empty: nobody is named.
func isResource(text string) bool {
	u, err := url.Parse(text)
	return text == "" || err == nil && u.Scheme != "" && !strings.Contains(text, "#")
}

// resourceOf returns whom a token is for: the resource that the person has consented to,
// or where there is none, the one that the request names. They may not differ.
func resourceOf(granted, asked string) (string, bool) {
	return cmp.Or(granted, asked), granted == "" || asked == "" || granted == asked
}
