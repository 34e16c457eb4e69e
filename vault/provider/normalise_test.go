package provider

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	asJSON = "application/json"
	asForm = "application/x-www-form-urlencoded"
	asText = "text/plain; charset=utf-8"
	asHTML = "text/html"
)

func TestEveryOddTokenResponseIsUnderstood(t *testing.T) {
	token := tokenAnswer{AccessToken: "at", TokenType: "Bearer"}
	hour := token
	hour.ExpiresIn = 3600
	scoped := token
	scoped.Scope = "a b"
	for _, row := range []struct {
		name, contentType, body string
		want                    tokenAnswer
	}{
		{"Mailchimp", asJSON, `{"access_token":"at","expires_in":0,"scope":null}`, token},
		{"plain", asJSON, `{"access_token":"at","token_type":"Bearer","expires_in":3600,"refresh_token":"rt","scope":"a b"}`,
			tokenAnswer{AccessToken: "at", TokenType: "Bearer", RefreshToken: "rt", ExpiresIn: 3600, Scope: "a b"}},
		{"expires_in as text", asJSON, `{"access_token":"at","expires_in":"3600"}`, hour},
		{"expires_in as empty text", asJSON, `{"access_token":"at","expires_in":""}`, token},
		{"expires_in as float", asJSON, `{"access_token":"at","expires_in":3600.0}`, hour},
		{"expires_in with exponent", asJSON, `{"access_token":"at","expires_in":3.6e3}`, hour},
		{"expires_in null", asJSON, `{"access_token":"at","expires_in":null}`, token},
		{"expires_in negative", asJSON, `{"access_token":"at","expires_in":-1}`, token},
		{"expires_in huge", asJSON, `{"access_token":"at","expires_in":1e300}`, token},
		{"expires_in a fraction", asJSON, `{"access_token":"at","expires_in":0.5}`, tokenAnswer{AccessToken: "at", TokenType: "Bearer", ExpiresIn: 1}},
		{"expires_in an object", asJSON, `{"access_token":"at","expires_in":{}}`, token},
		{"token_type in small letters", asJSON, `{"access_token":"at","token_type":"bearer"}`, token},
		{"token_type a number", asJSON, `{"access_token":"at","token_type":7}`, token},
		{"another token_type", asJSON, `{"access_token":"at","token_type":"mac"}`, tokenAnswer{AccessToken: "at", TokenType: "mac"}},
		{"scope with commas", asJSON, `{"access_token":"at","scope":"a,b"}`, scoped},
		{"scope as list", asJSON, `{"access_token":"at","scope":["a","b"]}`, scoped},
		{"form", asForm, `access_token=at&expires_in=3600`, hour},
		{"form as text/plain", asText, `access_token=at&scope=a%2Cb`, scoped},
		{"JSON as text/plain", asText, `{"access_token":"at"}`, token},
		{"JSON as text/html", asHTML, `{"access_token":"at"}`, token},
		{"byte order mark", asJSON, "\xef\xbb\xbf{\"access_token\":\"at\"}", token},
		{"more after the object", asJSON, `{"access_token":"at"} <!-- cached -->`, token},
		{"breaks off after the token", asJSON, `{"access_token":"at","scope":"a`, token},
		{"error with 200", asJSON, `{"error":"bad_verification_code"}`, tokenAnswer{TokenType: "Bearer", Error: "bad_verification_code"}},
		{"Slack's error", asJSON, `{"ok":false,"error":"invalid_code"}`, tokenAnswer{TokenType: "Bearer", Error: "invalid_code"}},
		{"an error that is no code", asJSON, `{"error":"<script>alert(1)</script>"}`, tokenAnswer{TokenType: "Bearer", Error: "scriptalert1script"}},
		{"HTML", asHTML, `<html>access_token=at</html>`, tokenAnswer{TokenType: "Bearer"}},
		{"empty", asJSON, ``, tokenAnswer{TokenType: "Bearer"}},
		{"token a number", asJSON, `{"access_token":7}`, tokenAnswer{TokenType: "Bearer"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			if diff := cmp.Diff(row.want, normalise([]byte(row.body), row.contentType)); diff != "" {
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
		f.Add([]byte(seed), asJSON)
		f.Add([]byte(seed), asText)
	}
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		got := normalise(body, contentType)
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
		got := normalise([]byte(`{"access_token":`+string(quoted)+`,`+rest), asJSON)
		if got.AccessToken != want {
			t.Errorf("access token = %q, want %q", got.AccessToken, want)
		}
	})
}
