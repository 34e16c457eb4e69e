package vaulttest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// Issuer is an OpenID Connect issuer on loopback that makes whatever token a test
// wants, and signs in whom it is told to, without a password. It is safe for
// concurrent use.
type Issuer struct {
	URL string

	t   testing.TB
	now func() time.Time

	mu        sync.Mutex
	keys      []jose.JSONWebKey // private; the last one signs
	published []jose.JSONWebKey
	status    int // of its answers; 0: as they should be
	asked     int
	signIns   signIns
}

// NewIssuer starts an issuer for the length of the test. now is the clock that its
// tokens go by; nil: time.Now.
func NewIssuer(t testing.TB, now func() time.Time) *Issuer {
	t.Helper()
	if now == nil {
		now = time.Now
	}
	i := &Issuer{t: t, now: now}
	web := httptest.NewServer(i)
	t.Cleanup(web.Close)
	i.URL = web.URL
	i.AddKey()
	i.WithdrawOldKeys()
	return i
}

// ServeHTTP implements http.Handler: the issuer's metadata and its keys.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked++
	if i.status != 0 {
		w.WriteHeader(i.status)
		return
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		i.answer(w, http.StatusOK, i.metadata())
	case "/keys":
		i.answer(w, http.StatusOK, jose.JSONWebKeySet{Keys: i.published})
	case "/authorize":
		i.authorize(w, r)
	case "/token":
		i.redeem(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (i *Issuer) metadata() map[string]any {
	return map[string]any{
		"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"ES256"}, "token_endpoint_auth_methods_supported": []string{"client_secret_post"},
	}
}

func (i *Issuer) answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		i.t.Error(err)
	}
}

// AddKey makes a key that signs from now on, and publishes it beside the others.
func (i *Issuer) AddKey() {
	i.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	made := jose.JSONWebKey{Key: key, KeyID: strconv.Itoa(len(i.keys)), Algorithm: string(jose.ES256)}
	i.keys = append(i.keys, made)
	i.published = append(i.published, made.Public())
}

// WithdrawOldKeys publishes the newest key alone.
func (i *Issuer) WithdrawOldKeys() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.published = i.published[len(i.published)-1:]
}

// Answer has the issuer answer everything with a status. 0: as it should.
func (i *Issuer) Answer(status int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.status = status
}

// Asked returns how many requests have come.
func (i *Issuer) Asked() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

// Token returns a token of an hour with these claims. They may replace iss, iat and
// exp; nil leaves a claim out.
func (i *Issuer) Token(claims map[string]any) secret.String {
	i.t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.token(claims)
}

func (i *Issuer) token(claims map[string]any) secret.String {
	return i.TokenOf(i.keys[len(i.keys)-1], claims)
}

// OldKey returns the first key, for tokens of keys that were withdrawn.
func (i *Issuer) OldKey() jose.JSONWebKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys[0]
}

// TokenOf is Token signed with a key.
func (i *Issuer) TokenOf(key jose.JSONWebKey, claims map[string]any) secret.String {
	i.t.Helper()
	return i.sign(key, claims, nil)
}

// TokenOfType is Token with a type in its header (typ).
func (i *Issuer) TokenOfType(kind string, claims map[string]any) secret.String {
	i.t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.sign(i.keys[len(i.keys)-1], claims, (&jose.SignerOptions{}).WithType(jose.ContentType(kind)))
}

func (i *Issuer) sign(key jose.JSONWebKey, claims map[string]any, o *jose.SignerOptions) secret.String {
	i.t.Helper()
	all := map[string]any{"iss": i.URL, "iat": i.now().Unix(), "exp": i.now().Add(time.Hour).Unix()}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key}, o)
	if err != nil {
		i.t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(all).Serialize()
	if err != nil {
		i.t.Fatal(err)
	}
	return secret.New(token)
}
