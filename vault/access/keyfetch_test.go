package access_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// discovering returns an issuer with TLS whose metadata leads to where its keys are,
// and its authority.
func discovering(t *testing.T, keysURL func(own string) string) (*httptest.Server, *x509.CertPool, *atomic.Value) {
	t.Helper()
	sent := &atomic.Value{}
	var web *httptest.Server
	web = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent.Store(r.Header.Get("Authorization"))
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": web.URL, "jwks_uri": keysURL(web.URL), "keys": []any{}})
	}))
	t.Cleanup(web.Close)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}))
	return web, pool, sent
}

// askOf has an issuer asked for its keys, and returns why there is no caller.
func askOf(t *testing.T, i access.Issuer) error {
	t.Helper()
	p, err := access.NewPolicy(access.Config{
		Issuers: []access.Issuer{i},
		Rules:   []access.Rule{{Name: "a", Tenant: "t", JWT: &access.JWT{Issuer: i.URL, Audience: "a", Subject: "s"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Authenticate(t.Context(), bearer(vaulttest.NewIssuer(t, nil).Token(map[string]any{"iss": i.URL, "aud": "a", "sub": "s"})))
	return err
}

func TestTheTokenOfAFileGoesToTheIssuerAlone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("service-account-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	elsewhere := make(chan string, 1)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		elsewhere <- r.Header.Get("Authorization")
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(other.Close)
	web, pool, sent := discovering(t, func(string) string { return other.URL + "/keys" })
	if err := askOf(t, access.Issuer{URL: web.URL, RootCAs: pool, TokenFile: file}); !errors.Is(err, access.ErrUnavailable) {
		t.Fatalf("error = %v, want ErrUnavailable", err)
	}
	if got := sent.Load(); got != "Bearer service-account-token" {
		t.Errorf("the issuer got %q, want the token", got)
	}
	if got := <-elsewhere; got != "" {
		t.Errorf("another host got %q", got)
	}
}

func TestKeysDoNotComeWithoutTLS(t *testing.T) {
	web, pool, _ := discovering(t, func(string) string { return "http://keys.example/jwks" })
	err := askOf(t, access.Issuer{URL: web.URL, RootCAs: pool})
	if !errors.Is(err, access.ErrUnavailable) || !strings.Contains(err.Error(), "without TLS") {
		t.Errorf("error = %v, want that the keys would come without TLS", err)
	}
}

func TestWhatAnIssuerSaysDoesNotFillTheLog(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		_, _ = w.Write([]byte(strings.Repeat("<p>sorry</p>", 10_000)))
	}))
	t.Cleanup(web.Close)
	if err := askOf(t, access.Issuer{URL: web.URL}); !errors.Is(err, access.ErrUnavailable) || len(err.Error()) > 600 {
		t.Errorf("an error of %d bytes: %.200v", len(err.Error()), err)
	}
}

func TestAnIssuerCanBeCheckedBeforeThereAreTokens(t *testing.T) {
	issuer := vaulttest.NewIssuer(t, nil)
	if err := access.CheckIssuer(t.Context(), access.Issuer{URL: issuer.URL}); err != nil {
		t.Errorf("an issuer that answers: %v", err)
	}
	issuer.Answer(http.StatusServiceUnavailable)
	if err := access.CheckIssuer(t.Context(), access.Issuer{URL: issuer.URL}); err == nil || !strings.Contains(err.Error(), issuer.URL) {
		t.Errorf("an issuer that does not: %v, want an error that names it", err)
	}
}
