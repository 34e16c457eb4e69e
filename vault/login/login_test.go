package login_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"github.com/tokenvault/tokenvault/vault/login"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

const redirectURL = "http://127.0.0.1:1/login/callback"

// signIn takes a browser through a sign-in and returns who it is.
func signIn(t *testing.T, p *login.RelyingParty) (string, error) {
	t.Helper()
	verifier := secret.New(oauth2.GenerateVerifier())
	location, err := p.AuthorizeURL(t.Context(), "state", "nonce", verifier, false)
	if err != nil {
		return "", err
	}
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := browser.Get(location)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	back, err := resp.Location()
	if err != nil {
		t.Fatal(err)
	}
	return p.Subject(t.Context(), secret.New(back.Query().Get("code")), "nonce", verifier)
}

func TestTheOperatorChoosesTheClaimThatNamesPeople(t *testing.T) {
	for _, row := range []struct {
		name, claim string
		claims      map[string]any
		want        string
	}{
		{"the subject where nothing is chosen", "", nil, "248289761001"},
		{"another claim", "preferred_username", map[string]any{"preferred_username": "alice"}, "alice"},
		{"a claim that is not there", "preferred_username", nil, ""},
		{"an email that is verified", "email", map[string]any{"email": "alice@example.com", "email_verified": true}, "alice@example.com"},
		{"an email that is not", "email", map[string]any{"email": "alice@example.com", "email_verified": false}, ""},
		{"an email of which nothing is said", "email", map[string]any{"email": "alice@example.com"}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			issuer := vaulttest.NewIssuer(t, nil)
			issuer.SignInAs("248289761001", row.claims)
			c := issuer.Login(redirectURL)
			c.SubjectClaim = row.claim
			got, err := signIn(t, login.New(c))
			if got != row.want || (err == nil) != (row.want != "") {
				t.Errorf("subject = %q, %v; want %q", got, err, row.want)
			}
		})
	}
}

func TestAnIssuerThatWasAwayIsAskedAgain(t *testing.T) {
	issuer := vaulttest.NewIssuer(t, nil)
	issuer.SignInAs("alice", nil)
	away := true
	target, err := url.Parse(issuer.URL)
	if err != nil {
		t.Fatal(err)
	}
	// What stands before the issuer answers in its name, once it does.
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away {
			http.Error(w, "<html>"+strings.Repeat("sorry ", 10_000), http.StatusBadGateway)
			return
		}
		http.Redirect(w, r, target.String()+r.URL.Path, http.StatusFound)
	}))
	defer front.Close()
	c := issuer.Login(redirectURL)
	c.Issuer = front.URL
	p := login.New(c)
	if _, err := signIn(t, p); err == nil || len(err.Error()) > 500 {
		t.Errorf("error = %.1000v, want a short one", err)
	}
	away = false
	if _, err := signIn(t, p); err == nil || !strings.Contains(err.Error(), "302") {
		t.Errorf("error = %v, want one about a redirect that is not followed", err)
	}
	c.Issuer = issuer.URL
	if got, err := signIn(t, login.New(c)); got != "alice" {
		t.Errorf("subject = %q, %v", got, err)
	}
}

func TestWhatTheTokenEndpointSaysStaysOutOfErrors(t *testing.T) {
	issuer := vaulttest.NewIssuer(t, nil)
	issuer.SignInAs("alice", nil)
	c := issuer.Login(redirectURL)
	c.ClientSecret = secret.New("canary")
	_, err := signIn(t, login.New(c))
	if err == nil || !strings.Contains(err.Error(), `status 401, error "invalid_client"`) || strings.Contains(err.Error(), "canary") {
		t.Errorf("error = %v", err)
	}
}
