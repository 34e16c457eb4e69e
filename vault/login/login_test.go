package login_test

import (
	"io"
	"net/http"
	"net/http/httptest"
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
	p := login.New(issuer.Login(redirectURL))
	issuer.Answer(http.StatusServiceUnavailable)
	if _, err := signIn(t, p); err == nil {
		t.Error("somebody was signed in by an issuer that does not answer")
	}
	issuer.Answer(0)
	if got, err := signIn(t, p); got != "alice" {
		t.Errorf("subject = %q, %v", got, err)
	}
	asked := issuer.Asked()
	if got, err := signIn(t, p); got != "alice" {
		t.Errorf("subject = %q, %v", got, err)
	}
	if n := issuer.Asked() - asked; n != 2 {
		t.Errorf("%d requests of another sign-in, want 2: what is known is not asked for again", n)
	}
}

// TestOfWhatAnIssuerAnswersLittleIsLogged has something else answer in its place.
func TestOfWhatAnIssuerAnswersLittleIsLogged(t *testing.T) {
	const canary = "canary"
	for _, row := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"a long page", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, strings.Repeat("sorry ", 10_000)+canary, http.StatusBadGateway)
		}, "502"},
		{"a body without an end", func(w http.ResponseWriter, _ *http.Request) {
			for range 3 << 10 {
				if _, err := io.WriteString(w, strings.Repeat(" ", 1<<10)); err != nil {
					return
				}
			}
		}, "too large"},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, "307"},
	} {
		t.Run(row.name, func(t *testing.T) {
			asked := 0
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked++
				row.answer(w, r)
			}))
			defer web.Close()
			_, err := signIn(t, login.New(login.Config{Issuer: web.URL, ClientID: "x", RedirectURL: redirectURL}))
			if err == nil || len(err.Error()) > 500 || strings.Contains(err.Error(), canary) || !strings.Contains(err.Error(), row.want) {
				t.Errorf("error = %.1000v, want a short one with %q", err, row.want)
			}
			if asked != 1 {
				t.Errorf("%d requests, want 1", asked)
			}
		})
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

func TestAnErrorCodeThatCouldBeASecretIsNotLogged(t *testing.T) {
	web := httptest.NewServer(nil)
	defer web.Close()
	web.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/token" {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error": "`+r.PostFormValue("code")+`"}`)
			return
		}
		_, _ = io.WriteString(w, `{"issuer": "`+web.URL+`", "token_endpoint": "`+web.URL+`/token"}`)
	})
	_, err := login.New(login.Config{Issuer: web.URL, ClientID: "x"}).Subject(t.Context(), secret.New("canary"), "nonce", secret.New("verifier"))
	if err == nil || !strings.Contains(err.Error(), "not_shown") || strings.Contains(err.Error(), "canary") {
		t.Errorf("error = %v", err)
	}
}
