package provider

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// machineProvider has endpoints for devices and machines.
func machineProvider(t *testing.T, auth ClientAuth, key secret.String, handler func(http.ResponseWriter, *http.Request)) *Provider {
	t.Helper()
	c := Config{
		Name: "acme", ClientID: "id", ClientKey: key, ClientKeyID: "key-1", Transport: inProcess(handler),
		Definition: Definition{
			AuthorizeURL: "https://a.example/authorize", TokenURL: "https://a.example/token", DeviceURL: "https://a.example/device",
			RevokeURL: "https://a.example/revoke", ClientAuth: auth, Scopes: []string{"a", "b"}, ScopeSeparator: ",",
		},
	}
	if auth == ClientAuthBasic || auth == ClientAuthPost {
		c.ClientSecret = canary()
	}
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func formOf(t *testing.T, r *http.Request) url.Values {
	t.Helper()
	if err := r.ParseForm(); err != nil {
		t.Error(err)
	}
	return r.PostForm
}

func TestTheClientGetsATokenForItself(t *testing.T) {
	for auth, want := range map[ClientAuth]url.Values{
		ClientAuthPost:  {"grant_type": {"client_credentials"}, "scope": {"a,b"}, "client_id": {"id"}, "client_secret": {"client-canary"}},
		ClientAuthBasic: {"grant_type": {"client_credentials"}, "scope": {"a,b"}},
	} {
		t.Run(string(auth), func(t *testing.T) {
			p := machineProvider(t, auth, secret.String{}, func(w http.ResponseWriter, r *http.Request) {
				if diff := cmp.Diff(want, formOf(t, r)); diff != "" {
					t.Errorf("form (-want +got):\n%s", diff)
				}
				if _, _, ok := r.BasicAuth(); ok != (auth == ClientAuthBasic) {
					t.Errorf("basic authentication: %v", ok)
				}
				_, _ = w.Write([]byte(`{"access_token":"at","expires_in":""}`))
			})
			token, err := p.ClientCredentials(t.Context(), nil)
			if err != nil || token.AccessToken.Reveal() != "at" {
				t.Errorf("token %v, error %v", token, err)
			}
		})
	}
}

func TestADeviceIsAuthorized(t *testing.T) {
	answer := ""
	p := machineProvider(t, ClientAuthBasic, secret.String{}, func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); !ok {
			t.Error("the client did not authenticate")
		}
		form := formOf(t, r)
		if r.URL.Path == "/device" {
			if form.Get("scope") != "c" || form.Get("client_id") != "id" {
				t.Errorf("form = %v", form)
			}
			_, _ = w.Write([]byte(`{"device_code":"device-canary","user_code":"ABCD","verification_uri":"https://a.example/go","expires_in":900,"interval":7}`))
			return
		}
		if form.Get("grant_type") != deviceGrant || form.Get("device_code") != "device-canary" {
			t.Errorf("form = %v", form)
		}
		if strings.Contains(answer, "error") {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = w.Write([]byte(answer))
	})
	got, err := p.AuthorizeDevice(t.Context(), []string{"c"})
	if err != nil {
		t.Fatal(err)
	}
	if got.UserCode != "ABCD" || got.VerificationURL != "https://a.example/go" || got.Interval != 7*time.Second || got.Lifetime != 15*time.Minute {
		t.Errorf("authorization = %+v", got)
	}
	for _, row := range []struct {
		name, body, code string
		kind             Kind
	}{
		{"not yet", `{"error":"authorization_pending"}`, "authorization_pending", Pending},
		{"too often", `{"error":"slow_down"}`, "slow_down", Pending},
		{"no", `{"error":"access_denied"}`, "access_denied", Denied},
		{"too late", `{"error":"expired_token"}`, "expired_token", InvalidGrant},
	} {
		t.Run(row.name, func(t *testing.T) {
			answer = row.body
			_, err := p.DeviceToken(t.Context(), got.DeviceCode)
			var e *Error
			if !errors.As(err, &e) || e.Kind != row.kind || e.Code != row.code || strings.Contains(err.Error(), "canary") {
				t.Errorf("error = %v, want kind %v and code %s", err, row.kind, row.code)
			}
		})
	}
	answer = `{"access_token":"at"}`
	if token, err := p.DeviceToken(t.Context(), got.DeviceCode); err != nil || token.AccessToken.Reveal() != "at" {
		t.Errorf("token %v, error %v", token, err)
	}
}

func TestAnswersToDevicesAreChecked(t *testing.T) {
	for _, row := range []struct {
		name   string
		status int
		body   string
		kind   Kind
	}{
		{"no code", 200, `{"user_code":"A","verification_uri":"https://a.example/"}`, Transient},
		{"a page without TLS", 200, `{"device_code":"d","user_code":"A","verification_uri":"http://a.example/"}`, Transient},
		{"a script for a page", 200, `{"device_code":"d","user_code":"A","verification_uri":"javascript:alert(1)"}`, Transient},
		{"HTML", 200, `<html>`, Transient},
		{"a client that is not known", 401, `{"error":"invalid_client"}`, Misconfigured},
		{"down", 503, ``, Transient},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := machineProvider(t, ClientAuthNone, secret.String{}, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(row.status)
				_, _ = w.Write([]byte(row.body))
			})
			if got, err := p.AuthorizeDevice(t.Context(), nil); err == nil || KindOf(err) != row.kind {
				t.Errorf("authorization = %+v, error %v; want one that is %v", got, err, row.kind)
			}
		})
	}
	p, err := New(Config{Name: "shop", Definition: Definition{AuthorizeURL: "https://a.example/", TokenURL: "https://a.example/", ClientAuth: ClientAuthNone}, ClientID: "id"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.AuthorizeDevice(t.Context(), nil); !errors.Is(err, ErrNotSupported) {
		t.Errorf("without an endpoint: error = %v", err)
	}
}

func inPEM(t *testing.T, key any) secret.String {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return secret.New(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

func TestTheClientAuthenticatesWithItsKey(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		algorithm jose.SignatureAlgorithm
		key       crypto.Signer
	}{{jose.RS256, rsaKey}, {jose.ES256, ecKey}, {jose.EdDSA, edKey}} {
		t.Run(string(row.algorithm), func(t *testing.T) {
			seen := map[string]bool{}
			p := machineProvider(t, ClientAuthPrivateKeyJWT, inPEM(t, row.key), func(w http.ResponseWriter, r *http.Request) {
				form := formOf(t, r)
				if form.Get("client_assertion_type") != assertionType || form.Has("client_secret") || r.Header.Get("Authorization") != "" {
					t.Errorf("form = %v", form)
				}
				claims := verifyAssertion(t, form.Get("client_assertion"), row.algorithm, row.key.Public())
				jti, _ := claims["jti"].(string)
				if claims["iss"] != "id" || claims["sub"] != "id" || claims["aud"] != "https://a.example/token" || jti == "" || seen[jti] {
					t.Errorf("claims = %v", claims)
				}
				seen[jti] = true
				_, _ = w.Write([]byte(`{"access_token":"at","device_code":"d","user_code":"A","verification_uri":"https://a.example/"}`))
			})
			if _, err := p.Exchange(t.Context(), secret.New("code"), NewVerifier()); err != nil {
				t.Error(err)
			}
			if _, err := p.Refresh(t.Context(), secret.New("rt")); err != nil {
				t.Error(err)
			}
			if _, err := p.ClientCredentials(t.Context(), nil); err != nil {
				t.Error(err)
			}
			if _, err := p.AuthorizeDevice(t.Context(), nil); err != nil {
				t.Error(err)
			}
			if err := p.Revoke(t.Context(), Token{AccessToken: secret.New("at")}); err != nil {
				t.Error(err)
			}
			if len(seen) != 5 {
				t.Errorf("%d requests", len(seen))
			}
		})
	}
}

func verifyAssertion(t *testing.T, assertion string, algorithm jose.SignatureAlgorithm, public any) map[string]any {
	t.Helper()
	signed, err := jose.ParseSignedCompact(assertion, []jose.SignatureAlgorithm{algorithm})
	if err != nil {
		t.Error(err)
		return nil
	}
	payload, err := signed.Verify(public)
	if err != nil || signed.Signatures[0].Header.KeyID != "key-1" {
		t.Errorf("header %+v, error %v", signed.Signatures[0].Header, err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Error(err)
	}
	return claims
}

func TestKeysThatCannotSignAreRefused(t *testing.T) {
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	old, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]secret.String{
		"no PEM":      secret.New("key-canary"),
		"no key":      secret.New("-----BEGIN PRIVATE KEY-----\na2V5LWNhbmFyeQ==\n-----END PRIVATE KEY-----\n"),
		"too short":   inPEM(t, short),
		"an old form": inPEM(t, old),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(Config{
				Name: "acme", ClientID: "id", ClientKey: key,
				Definition: Definition{AuthorizeURL: "https://a.example/", TokenURL: "https://a.example/", ClientAuth: ClientAuthPrivateKeyJWT},
			})
			if err == nil || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "a2V5") {
				t.Errorf("error = %v", err)
			}
		})
	}
}

func TestTheMetadataAllowsAKey(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for list, want := range map[string]ClientAuth{
		`,"token_endpoint_auth_methods_supported":["client_secret_basic","private_key_jwt"]`: ClientAuthPrivateKeyJWT,
		`,"token_endpoint_auth_methods_supported":["client_secret_basic"]`:                   "",
	} {
		p, err := New(Config{
			Name: "acme", Definition: Definition{Issuer: testIssuer}, ClientID: "id", ClientKey: inPEM(t, key),
			Transport: &authorizationServer{answers: map[string]string{oidcPath: metadataOf("id.example", list)}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if e, err := p.Endpoints(t.Context()); e.ClientAuth != want || (err == nil) != (want != "") {
			t.Errorf("%s: client authentication = %q, error %v", list, e.ClientAuth, err)
		}
	}
}
