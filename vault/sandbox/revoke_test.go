package sandbox_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenvault/tokenvault/vault/sandbox"
)

func revocation(token string) url.Values {
	return url.Values{"token": {token}, "client_id": {"post"}, "client_secret": {"post secret"}}
}

func TestRevokingARefreshTokenRevokesItsFamily(t *testing.T) {
	a := newApp(t, nil)
	first := a.Issue("post", ada, "a")
	second := a.mustRefresh(first.RefreshToken)
	form := revocation(second)
	form.Set("token_type_hint", "access_token") // a wrong hint does no harm (RFC 7009, section 2.1)
	if r := a.post("/oauth/revoke", form); r.status != http.StatusOK || r.body != "" {
		t.Errorf("status %d, %q; want 200 and no body", r.status, r.body)
	}
	if a.Valid(first.AccessToken) || a.RefreshTokenValid(second) {
		t.Error("something of the family still works")
	}
	if diff := cmp.Diff(sandbox.Revocations{RefreshTokens: 1}, a.Revocations()); diff != "" {
		t.Errorf("Revocations (-want +got):\n%s", diff)
	}
	if n := a.RevokedFamilies(); n != 0 {
		t.Errorf("RevokedFamilies = %d, want 0", n)
	}
}

func TestRevokingAnAccessTokenRevokesNothingElse(t *testing.T) {
	a := newApp(t, nil)
	first := a.Issue("post", ada, "a")
	if r := a.post("/oauth/revoke", revocation(first.AccessToken)); r.status != http.StatusOK {
		t.Errorf("status %d, want 200", r.status)
	}
	if a.Valid(first.AccessToken) {
		t.Error("the access token still works")
	}
	a.mustRefresh(first.RefreshToken)
	if diff := cmp.Diff(sandbox.Revocations{AccessTokens: 1}, a.Revocations()); diff != "" {
		t.Errorf("Revocations (-want +got):\n%s", diff)
	}
}

func TestARevocationThatIsWrongRevokesNothing(t *testing.T) {
	for _, row := range []struct {
		name   string
		client string // whose token it is
		change func(url.Values)
		status int
		code   string
		want   sandbox.Revocations
	}{
		{"unknown token", "post", func(q url.Values) { q.Set("token", "unknown") }, 200, "", sandbox.Revocations{Unknown: 1}},
		{"no token", "post", func(q url.Values) { q.Del("token") }, 400, "invalid_request", sandbox.Revocations{Refused: 1}},
		{"two tokens", "post", func(q url.Values) { q.Add("token", "unknown") }, 400, "invalid_request", sandbox.Revocations{Refused: 1}},
		{"wrong secret", "post", func(q url.Values) { q.Set("client_secret", "guessed") }, 401, "invalid_client", sandbox.Revocations{Refused: 1}},
		{"unknown client", "post", func(q url.Values) { q.Set("client_id", "other") }, 401, "invalid_client", sandbox.Revocations{Refused: 1}},
		{"another client's token", "basic", func(url.Values) {}, 400, "invalid_grant", sandbox.Revocations{Refused: 1}},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, kind := range []string{"access token", "refresh token"} {
				a := newApp(t, nil)
				first := a.Issue(row.client, ada, "a")
				token := first.RefreshToken
				if kind == "access token" {
					token = first.AccessToken
				}
				form := revocation(token)
				row.change(form)
				if r := a.post("/oauth/revoke", form); r.status != row.status || r.text("error") != row.code {
					t.Errorf("%s: status %d, error %q; want %d, %q", kind, r.status, r.text("error"), row.status, row.code)
				}
				if !a.Valid(first.AccessToken) || !a.RefreshTokenValid(first.RefreshToken) {
					t.Errorf("%s: a token was revoked", kind)
				}
				if diff := cmp.Diff(row.want, a.Revocations()); diff != "" {
					t.Errorf("%s: Revocations (-want +got):\n%s", kind, diff)
				}
			}
		})
	}
}

func TestRevokingTwiceIsNoError(t *testing.T) {
	a := newApp(t, nil)
	first := a.Issue("post", ada, "a")
	for range 2 {
		for _, token := range []string{first.RefreshToken, first.AccessToken} {
			if r := a.post("/oauth/revoke", revocation(token)); r.status != http.StatusOK {
				t.Errorf("status %d, want 200", r.status)
			}
		}
	}
	if diff := cmp.Diff(sandbox.Revocations{RefreshTokens: 1, Unknown: 3}, a.Revocations()); diff != "" {
		t.Errorf("Revocations (-want +got):\n%s", diff)
	}
}
