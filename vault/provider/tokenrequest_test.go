package provider

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/vault/secret"
)

func TestTokenRequestsAreWrittenAsTheDefinitionSays(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*Definition)
		want   string
	}{
		{"a form", func(*Definition) {}, "client_id=id&client_secret=client-canary&grant_type=refresh_token&refresh_token=rt"},
		{"a form with parameters", func(d *Definition) { d.TokenParams = map[string]string{"action": "requesttoken"} },
			"action=requesttoken&client_id=id&client_secret=client-canary&grant_type=refresh_token&refresh_token=rt"},
		{"JSON", func(d *Definition) { d.TokenFormat = TokenFormatJSON },
			`{"client_id":"id","client_secret":"client-canary","grant_type":"refresh_token","refresh_token":"rt"}`},
		{"JSON with basic authentication", func(d *Definition) { d.TokenFormat, d.ClientAuth = TokenFormatJSON, ClientAuthBasic },
			`{"grant_type":"refresh_token","refresh_token":"rt"}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := Definition{AuthorizeURL: "https://a.example/", TokenURL: "https://a.example/token", ClientAuth: ClientAuthPost}
			row.change(&d)
			var got, contentType string
			p, err := New(Config{Name: "acme", Definition: d, ClientID: "id", ClientSecret: canary(),
				Transport: inProcess(func(w http.ResponseWriter, r *http.Request) {
					body, err := io.ReadAll(r.Body)
					if err != nil || int64(len(body)) != r.ContentLength {
						t.Errorf("a body of %d bytes with the length %d, error %v", len(body), r.ContentLength, err)
					}
					got, contentType = string(body), r.Header.Get("Content-Type")
					_, _ = w.Write([]byte(`{"access_token":"at"}`))
				})})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Refresh(t.Context(), secret.New("rt")); err != nil {
				t.Fatal(err)
			}
			if got != row.want || strings.HasPrefix(got, "{") != (contentType == "application/json") {
				t.Errorf("sent %s as %s, want %s", got, contentType, row.want)
			}
		})
	}
}

func TestTokensAreFoundWhereTheDefinitionSays(t *testing.T) {
	for _, row := range []struct {
		name, body, want string
		kind             Kind
	}{
		{"inside", `{"status":0,"body":{"access_token":"at"}}`, "at", 0},
		{"not inside", `{"access_token":"at"}`, "at", 0},
		{"both", `{"access_token":"other","body":{"access_token":"at"}}`, "at", 0},
		{"an error inside", `{"body":{"error":"invalid_grant"}}`, "", InvalidGrant},
		{"an error", `{"error":"invalid_grant","body":{}}`, "", InvalidGrant},
		{"nothing", `{"body":[]}`, "", Transient},
	} {
		t.Run(row.name, func(t *testing.T) {
			p, err := New(Config{Name: "acme", ClientID: "id", ClientSecret: canary(),
				Definition: Definition{AuthorizeURL: "https://a.example/", TokenURL: "https://a.example/token", ClientAuth: ClientAuthPost, TokenPointer: "/body"},
				Transport: inProcess(func(w http.ResponseWriter, _ *http.Request) {
					_, _ = w.Write([]byte(row.body))
				})})
			if err != nil {
				t.Fatal(err)
			}
			token, err := p.Refresh(t.Context(), secret.New("rt"))
			if token.AccessToken.Reveal() != row.want || (err == nil) != (row.want != "") || err != nil && KindOf(err) != row.kind {
				t.Errorf("token %q, error %v", token.AccessToken.Reveal(), err)
			}
		})
	}
}

func TestBaseScopesAreAskedForInAnyCase(t *testing.T) {
	d := shopDefinition()
	d.Scopes = []string{"a"}
	d.BaseScopes = []string{"openid", "b"}
	p, err := New(Config{Name: "shop", Definition: d, ClientID: "id", ClientSecret: canary()})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(p.ScopesFor(nil), " "); got != "a openid b" {
		t.Errorf("scopes = %s", got)
	}
	named := make([]string, 1, 4)
	named[0] = "b"
	if got := strings.Join(p.ScopesFor(named), " "); got != "b openid" || named[:2][1] != "" {
		t.Errorf("scopes = %s, and the caller's list is %q", got, named[:2])
	}
}
