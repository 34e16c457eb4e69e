package vaulttest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/tokenvault/tokenvault/vault/login"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// signIns is the part of an issuer that browsers see. The issuer's lock guards it.
type signIns struct {
	// subject signs in next. Empty: somebody who does not want to.
	subject string
	extra   map[string]any
	codes   map[string]url.Values // the authorization requests that they answer
	prompts []string
}

// The issuer's one client.
const (
	issuerClient = "vaulttest-login"
	issuerSecret = "issuer-client-secret"
)

// Login is the configuration of a relying party.
func (i *Issuer) Login(redirectURL string) login.Config {
	return login.Config{Issuer: i.URL, ClientID: issuerClient, ClientSecret: secret.New(issuerSecret), RedirectURL: redirectURL}
}

// SignInAs says who comes from now on, and which claims an ID token has besides or in
// place of the usual ones.
func (i *Issuer) SignInAs(subject string, claims map[string]any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.signIns.subject, i.signIns.extra = subject, claims
}

// Prompts are the prompt parameters of the sign-ins so far.
func (i *Issuer) Prompts() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.signIns.prompts)
}

func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	s, q := &i.signIns, r.URL.Query()
	s.prompts = append(s.prompts, q.Get("prompt"))
	back := url.Values{"state": {q.Get("state")}}
	if s.subject == "" {
		back.Set("error", "access_denied")
	} else {
		code := rand.Text()
		q.Set("subject", s.subject)
		if s.codes == nil {
			s.codes = map[string]url.Values{}
		}
		s.codes[code] = q
		back.Set("code", code)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

func (i *Issuer) redeem(w http.ResponseWriter, r *http.Request) {
	asked, known := i.signIns.codes[r.PostFormValue("code")]
	delete(i.signIns.codes, r.PostFormValue("code"))
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	switch {
	case r.PostFormValue("client_id") != issuerClient || r.PostFormValue("client_secret") != issuerSecret:
		i.answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	case !known || base64.RawURLEncoding.EncodeToString(sum[:]) != asked.Get("code_challenge") || r.PostFormValue("redirect_uri") != asked.Get("redirect_uri"):
		i.answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
		return
	}
	claims := map[string]any{"aud": issuerClient, "sub": asked.Get("subject"), "nonce": asked.Get("nonce")}
	maps.Copy(claims, i.signIns.extra)
	i.answer(w, http.StatusOK, map[string]any{"access_token": rand.Text(), "token_type": "Bearer", "id_token": i.token(claims).Reveal()})
}
