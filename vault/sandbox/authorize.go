package sandbox

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// request is an authorization request (RFC 6749, section 4.1.1), checked.
type request struct {
	Client    Client
	Query     url.Values
	Challenge string
}

// check refuses what must not lead to a redirect: an unknown client, a redirect
// URI that is not registered, anything sent twice (RFC 6749, section 3.1).
func (s *Sandbox) check(q url.Values, d dialect) (request, string) {
	for name, values := range q {
		if len(values) > 1 {
			return request{}, "The parameter " + name + " is there twice."
		}
	}
	client, ok := s.client(q.Get("client_id"), d)
	if !ok {
		return request{}, "No app with this client_id is registered here."
	}
	if !slices.Contains(client.RedirectURIs, q.Get("redirect_uri")) {
		return request{}, "This redirect_uri is not registered for the app. It must be the same to the letter."
	}
	if q.Get("response_type") != "code" {
		return request{}, "response_type must be code."
	}
	r := request{Client: client, Query: q}
	if d.pkce {
		if q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 {
			return request{}, "A code_challenge with the method S256 is missing."
		}
		r.Challenge = q.Get("code_challenge")
	}
	if d.isOpenID() && !isResource(q.Get("resource")) {
		return request{}, "resource must be an absolute URI without a fragment."
	}
	if d.script != nil {
		return r, d.script.checkAuthorization(q)
	}
	return r, ""
}

func (s *Sandbox) authorize(w http.ResponseWriter, r *http.Request, d dialect) {
	req, problem := s.check(r.URL.Query(), d)
	if problem != "" {
		s.page(w, http.StatusBadRequest, "error.html", problem)
		return
	}
	s.page(w, http.StatusOK, "consent.html", map[string]any{
		"Provider": d.name, "Client": req.Client.ID, "Scope": req.Query.Get("scope"), "Accounts": s.config.Accounts,
		"SignsIn": d.isOpenID() && req.Query.Get("scope") == "openid", "Action": r.URL.Path + "?" + r.URL.RawQuery,
	})
}

// decide takes the person's answer and sends the browser back to the app.
func (s *Sandbox) decide(w http.ResponseWriter, r *http.Request, d dialect) {
	req, problem := s.check(r.URL.Query(), d)
	if problem != "" {
		s.page(w, http.StatusBadRequest, "error.html", problem)
		return
	}
	answer := url.Values{}
	switch r.PostFormValue("decision") {
	case "approve":
		id, _ := strconv.Atoi(r.PostFormValue("account"))
		account, ok := s.account(id)
		if !ok {
			s.page(w, http.StatusBadRequest, "error.html", "Choose one of the accounts.")
			return
		}
		issued, err := s.issueCode(req, account, d)
		if err != nil {
			s.page(w, http.StatusInternalServerError, "error.html", "The sandbox could not save its state.")
			return
		}
		answer.Set("code", issued)
	default:
		answer.Set("error", "access_denied")
	}
	if state := req.Query.Get("state"); state != "" {
		answer.Set("state", state)
	}
	if d.issuer {
		answer.Set("iss", d.issuerOf(r))
	}
	http.Redirect(w, r, req.Query.Get("redirect_uri")+"?"+answer.Encode(), http.StatusFound)
}

func (s *Sandbox) issueCode(req request, account Account, d dialect) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := newID()
	s.state.Codes[id] = &code{
		At:          d.at(),
		Client:      req.Client.ID,
		RedirectURI: req.Query.Get("redirect_uri"),
		Challenge:   req.Challenge,
		Scope:       req.Query.Get("scope"),
		Nonce:       req.Query.Get("nonce"),
		Resource:    req.Query.Get("resource"),
		Account:     account.ID,
		ExpireTime:  s.config.Now().Add(codeLifetime),
	}
	return id, s.save()
}
