package provider

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func normalised(body []byte) tokenAnswer {
	fields, whole := answerFields(body)
	answer := normalise(fields)
	answer.Partial = !whole
	return answer
}

func TestEveryOddTokenResponseIsUnderstood(t *testing.T) {
	token := tokenAnswer{AccessToken: "at", TokenType: "Bearer"}
	hour := token
	hour.ExpiresIn = 3600
	scoped := token
	scoped.Scope = "a b"
	ends := token
	ends.RefreshExpiresIn = 15897600
	for _, row := range []struct {
		name, body string
		want       tokenAnswer
	}{
		{"Mailchimp", `{"access_token":"at","expires_in":0,"scope":null}`, token},
		{"plain", `{"access_token":"at","token_type":"Bearer","expires_in":3600,"refresh_token":"rt","scope":"a b"}`,
			tokenAnswer{AccessToken: "at", TokenType: "Bearer", RefreshToken: "rt", ExpiresIn: 3600, Scope: "a b"}},
		{"expires_in as text", `{"access_token":"at","expires_in":"3600"}`, hour},
		{"expires_in as empty text", `{"access_token":"at","expires_in":""}`, token},
		{"expires_in as float", `{"access_token":"at","expires_in":3600.0}`, hour},
		{"expires_in with exponent", `{"access_token":"at","expires_in":3.6e3}`, hour},
		{"expires_in null", `{"access_token":"at","expires_in":null}`, token},
		{"expires_in negative", `{"access_token":"at","expires_in":-1}`, token},
		{"expires_in huge", `{"access_token":"at","expires_in":1e300}`, token},
		{"expires_in a fraction", `{"access_token":"at","expires_in":0.5}`, tokenAnswer{AccessToken: "at", TokenType: "Bearer", ExpiresIn: 1}},
		{"expires_in an object", `{"access_token":"at","expires_in":{}}`, token},
		{"token_type in small letters", `{"access_token":"at","token_type":"bearer"}`, token},
		{"token_type a number", `{"access_token":"at","token_type":7}`, token},
		{"another token_type", `{"access_token":"at","token_type":"mac"}`, tokenAnswer{AccessToken: "at", TokenType: "mac"}},
		{"scope with commas", `{"access_token":"at","scope":"a,b"}`, scoped},
		{"scope as list", `{"access_token":"at","scope":["a","b"]}`, scoped},
		{"scopes", `{"access_token":"at","scopes":["a","b"]}`, scoped},
		{"form", `access_token=at&expires_in=3600`, hour},
		{"form with commas", `access_token=at&scope=a%2Cb`, scoped},
		{"byte order mark", "\xef\xbb\xbf{\"access_token\":\"at\"}", token},
		{"more after the object", `{"access_token":"at"} <!-- cached -->`, token},
		{"breaks off after the token", `{"access_token":"at","scope":"a`, tokenAnswer{AccessToken: "at", TokenType: "Bearer", Partial: true}},
		{"breaks off before the end", `{"access_token":"at"`, tokenAnswer{AccessToken: "at", TokenType: "Bearer", Partial: true}},
		{"error with 200", `{"error":"bad_verification_code"}`, tokenAnswer{TokenType: "Bearer", Error: "bad_verification_code"}},
		{"Slack's error", `{"ok":false,"error":"invalid_code"}`, tokenAnswer{TokenType: "Bearer", Error: "invalid_code"}},
		{"an error that is no code", `{"error":"<script>alert(1)</script>"}`, tokenAnswer{TokenType: "Bearer", Error: "not_shown"}},
		{"GitHub's refresh token", `access_token=at&refresh_token_expires_in=15897600`, ends},
		{"Keycloak's refresh token", `{"access_token":"at","refresh_expires_in":15897600}`, ends},
		{"Keycloak's offline token", `{"access_token":"at","refresh_expires_in":0}`, token},
		{"Intuit's refresh token", `{"access_token":"at","x_refresh_token_expires_in":15897600}`, ends},
		{"refresh token's life as text", `{"access_token":"at","refresh_token_expires_in":"15897600"}`, ends},
		{"HTML", `<html>access_token=at</html>`, tokenAnswer{TokenType: "Bearer"}},
		{"empty", ``, tokenAnswer{TokenType: "Bearer"}},
		{"token a number", `{"access_token":7}`, tokenAnswer{TokenType: "Bearer"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			if diff := cmp.Diff(row.want, normalised([]byte(row.body))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzNormalise(f *testing.F) {
	for _, seed := range []string{
		`{"access_token":"at","expires_in":0,"scope":null}`, `{"access_token":"at","expires_in":"1e3","scope":["a"]}`,
		`access_token=at&token_type=bearer`, `<html>`, "\xef\xbb\xbf{}", `{"error":{"code":1}}`, `{"access_token":"a","access_token":7}`, `{`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got := normalised(body)
		if got.ExpiresIn < 0 || got.ExpiresIn > maxSeconds || got.TokenType == "" || len(got.Error) > 64 {
			t.Errorf("out of bounds: %+v", got)
		}
	})
}

// FuzzIssuedTokenIsNotLost puts a token before anything at all.
func FuzzIssuedTokenIsNotLost(f *testing.F) {
	f.Add("token-1", `"expires_in":3600}`)
	f.Add("token-2", `"expires_in":"","scope":[[],{}],"token_type":null`)
	f.Add("t", ``)
	f.Fuzz(func(t *testing.T, token, rest string) {
		if token == "" || strings.Contains(rest, "access_token") || strings.Contains(rest, `\u`) {
			return
		}
		quoted, err := json.Marshal(token)
		if err != nil {
			t.Fatal(err)
		}
		var want string
		if err := json.Unmarshal(quoted, &want); err != nil {
			t.Fatal(err)
		}
		got := normalised([]byte(`{"access_token":` + string(quoted) + `,` + rest))
		if got.AccessToken != want {
			t.Errorf("access token = %q, want %q", got.AccessToken, want)
		}
	})
}
