package sandbox_test

import (
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenvault/tokenvault/vault/sandbox"
)

func TestAWrongAuthorizationRequestLeadsNowhere(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(url.Values)
	}{
		{"unknown client", func(q url.Values) { q.Set("client_id", "other") }},
		{"unregistered redirect_uri", func(q url.Values) { q.Set("redirect_uri", redirectURI+"/") }},
		{"no redirect_uri", func(q url.Values) { q.Del("redirect_uri") }},
		{"another response_type", func(q url.Values) { q.Set("response_type", "token") }},
		{"a parameter twice", func(q url.Values) { q.Add("state", "abc") }},
		{"no code_challenge", func(q url.Values) { q.Del("code_challenge") }},
		{"a short code_challenge", func(q url.Values) { q.Set("code_challenge", "short") }},
		{"the method plain", func(q url.Values) { q.Set("code_challenge_method", "plain") }},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := newApp(t, nil)
			q := authorization("post")
			row.change(q)
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				req := postRequest(t.Context(), t, "/oauth/authorize?"+q.Encode(), url.Values{"decision": {"approve"}, "account": {"31415926"}})
				req.Method = method
				r, err := a.do(req)
				if err != nil {
					t.Fatal(err)
				}
				if r.status != http.StatusBadRequest || r.header.Get("Location") != "" {
					t.Errorf("%s: status %d, Location %q; want 400 and no redirect", method, r.status, r.header.Get("Location"))
				}
			}
		})
	}
}

func TestTheAppIsToldWhatThePersonDecided(t *testing.T) {
	a := newApp(t, nil)
	if q := a.approve("post"); q.Get("code") == "" || q.Get("state") != "xyz" || q.Get("iss") != base+"/oauth" {
		t.Errorf("approved: %v", q)
	}
	resp, err := sandbox.Person{Client: a.http}.Deny(t.Context(), base+"/oauth/authorize?"+authorization("post").Encode())
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	back, err := resp.Location()
	if err != nil {
		t.Fatal(err)
	}
	if q := back.Query(); q.Get("error") != "access_denied" || q.Get("state") != "xyz" || q.Has("code") {
		t.Errorf("denied: %v", q)
	}
}

func TestACodeIsForWhoAskedForIt(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(url.Values)
		status int
		code   string
	}{
		{"another code", func(q url.Values) { q.Set("code", "guessed") }, 400, "invalid_grant"},
		{"another redirect_uri", func(q url.Values) { q.Set("redirect_uri", "http://app.example/other") }, 400, "invalid_grant"},
		{"another verifier", func(q url.Values) { q.Set("code_verifier", verifier+"x") }, 400, "invalid_grant"},
		{"no verifier", func(q url.Values) { q.Del("code_verifier") }, 400, "invalid_grant"},
		{"another client", func(q url.Values) { q.Set("client_id", "none"); q.Del("client_secret") }, 400, "invalid_grant"},
		{"a parameter twice", func(q url.Values) { q.Add("code", "guessed") }, 400, "invalid_request"},
		{"another grant_type", func(q url.Values) { q.Set("grant_type", "password") }, 400, "unsupported_grant_type"},
		{"a wrong secret", func(q url.Values) { q.Set("client_secret", "guessed") }, 401, "invalid_client"},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := newApp(t, nil)
			form := redemption(a.approve("post").Get("code"))
			row.change(form)
			wantRefused(t, a.post("/oauth/token", form), row.status, row.code)
			if got := a.LastIssued(); got != (sandbox.Issued{}) {
				t.Error("something was issued")
			}
		})
	}
}

func TestACodeThatComesTwiceTakesBackWhatCameOfIt(t *testing.T) {
	a := newApp(t, nil)
	form := redemption(a.approve("post").Get("code"))
	first := a.post("/oauth/token", form)
	if first.status != http.StatusOK || !a.Valid(first.text("access_token")) || first.text("scope") != "a b" {
		t.Fatalf("status %d, %s", first.status, first.body)
	}
	second := a.mustRefresh(first.text("refresh_token"))
	wantRefused(t, a.post("/oauth/token", form), http.StatusBadRequest, "invalid_grant")
	if a.Valid(first.text("access_token")) || a.RefreshTokenValid(second) {
		t.Error("what came of the code still works")
	}
	if n := a.RevokedFamilies(); n != 1 {
		t.Errorf("RevokedFamilies = %d, want 1", n)
	}
}

func TestACodeLivesTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, nil)
		form := redemption(a.approve("post").Get("code"))
		time.Sleep(10 * time.Minute)
		wantRefused(t, a.post("/oauth/token", form), http.StatusBadRequest, "invalid_grant")
	})
}

func TestAClientAuthenticatesInItsOneWay(t *testing.T) {
	for _, row := range []struct {
		name           string
		id, secret     string // in the body
		user, password string // of HTTP basic authentication
		ok             bool
	}{
		{name: "post in the body", id: "post", secret: "post secret", ok: true},
		{name: "post by basic", user: "post", password: "post secret"},
		{name: "post in both ways", id: "post", secret: "post secret", user: "post", password: "post secret"},
		{name: "post with no secret", id: "post"},
		{name: "basic by basic", user: "basic", password: "basic+secret", ok: true}, // form-encoded
		{name: "basic not encoded", user: "basic", password: "basic%"},
		{name: "basic in the body", id: "basic", secret: "basic secret"},
		{name: "basic for another id", id: "post", user: "basic", password: "basic+secret"},
		{name: "none", id: "none", ok: true},
		{name: "none with a secret", id: "none", secret: "made up"},
		{name: "none by basic", user: "none"},
		{name: "unknown", id: "other", secret: "other"},
		{name: "nobody"},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := newApp(t, nil)
			client := row.id + row.user
			if row.id != "" && row.user != "" {
				client = row.user
			}
			form := refreshForm(a.Issue(client, ada, "a").RefreshToken)
			form.Del("client_id")
			form.Del("client_secret")
			if row.id != "" {
				form.Set("client_id", row.id)
			}
			if row.secret != "" {
				form.Set("client_secret", row.secret)
			}
			req := postRequest(t.Context(), t, "/oauth/token", form)
			if row.user != "" {
				req.SetBasicAuth(row.user, row.password)
			}
			r, err := a.do(req)
			if err != nil {
				t.Fatal(err)
			}
			if row.ok {
				if r.status != http.StatusOK {
					t.Errorf("status %d, %s; want 200", r.status, r.body)
				}
				return
			}
			wantRefused(t, r, http.StatusUnauthorized, "invalid_client")
			if r.header.Get("WWW-Authenticate") == "" {
				t.Error("no WWW-Authenticate (RFC 6749, section 5.2)")
			}
		})
	}
}
