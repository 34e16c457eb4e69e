package sandbox_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/tokenvault/tokenvault/vault/sandbox"
)

func TestSecretsAreSwapped(t *testing.T) {
	a := newApp(t, nil)
	try := func(secret string) int {
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"post"}, "client_secret": {secret}}
		return a.must(httpRequest(t, "POST", base+"/oauth/token", form.Encode())).status
	}
	for _, row := range []struct {
		secrets  []string
		old, new int
	}{{nil, 200, 401}, {[]string{"post secret", "new"}, 200, 200}, {[]string{"new"}, 401, 200}} {
		if row.secrets != nil {
			a.SetSecrets("post", row.secrets...)
		}
		if before, after := try("post secret"), try("new"); before != row.old || after != row.new {
			t.Errorf("with %v: status %d for the old secret and %d for the new one", row.secrets, before, after)
		}
	}
}

func TestAClientProvesToHaveItsKey(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	right := map[string]any{"iss": "jwt", "sub": "jwt", "aud": base + "/oauth/token", "jti": "1", "exp": now.Add(time.Minute).Unix()}
	with := func(name string, value any) map[string]any {
		claims := map[string]any{"jti": name}
		for n, v := range right {
			if n != "jti" {
				claims[n] = v
			}
		}
		claims[name] = value
		return claims
	}
	a := newApp(t, func(c *sandbox.Config) {
		c.Clients = append(c.Clients, sandbox.Client{ID: "jwt", Auth: sandbox.AuthPrivateKeyJWT, PublicKeys: []crypto.PublicKey{key.Public()}})
	})
	for _, row := range []struct {
		name   string
		key    *ecdsa.PrivateKey
		claims map[string]any
		want   int
	}{
		{"right", key, right, 200},
		{"used again", key, right, 401},
		{"the issuer as audience", key, with("aud", base+"/oauth"), 200},
		{"another audience", key, with("aud", "https://else.example"), 401},
		{"another client", key, with("iss", "post"), 401},
		{"another subject", key, with("sub", "post"), 401},
		{"ended", key, with("exp", now.Add(-time.Second).Unix()), 401},
		{"without an end", key, with("exp", now.Add(time.Hour).Unix()), 401},
		{"without an id", key, with("jti", ""), 401},
		{"another key", stranger, with("x", "y"), 401},
	} {
		form := url.Values{
			"grant_type": {"client_credentials"}, "client_id": {"jwt"}, "client_assertion": {sign(t, row.key, row.claims)},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		}
		if r := a.must(httpRequest(t, "POST", base+"/oauth/token", form.Encode())); r.status != row.want {
			t.Errorf("%s: status %d, want %d", row.name, r.status, row.want)
		}
	}
}

func sign(t *testing.T, key *ecdsa.PrivateKey, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}
