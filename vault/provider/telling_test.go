package provider

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenvault/tokenvault/vault/secret"
)

func TestTheTokenResponseIsCapturedToo(t *testing.T) {
	d := Definition{
		AuthorizeURL: "https://a.example/", TokenURL: "https://a.example/token", ClientAuth: ClientAuthPost,
		TokenParams: map[string]string{"audience": "api"},
		TokenCapture: map[string]Capture{
			"instance_url": {Pointer: "/instance_url", Pattern: `^https://[a-z0-9.-]+\.crm\.example\.com$`, Required: true},
			"team":         {Pointer: "/team/id"},
		},
		Account:    AccountPointers{ID: "/team/id", Name: "/team/name"},
		APIBaseURL: "{instance_url}/api",
	}
	for _, row := range []struct {
		name, body string
		want       Captured
		base       string
		err        bool
	}{
		{
			"all", `{"access_token":"at","refresh_token":"rt","instance_url":"https://eu1.crm.example.com","team":{"id":12345678901234567890,"name":"Acme"}}`,
			Captured{
				Metadata: map[string]string{"instance_url": "https://eu1.crm.example.com", "team": "12345678901234567890"},
				Account:  Account{ID: "12345678901234567890", Name: "Acme"},
			},
			"https://eu1.crm.example.com/api", false,
		},
		{"an instance elsewhere", `{"access_token":"at","instance_url":"https://crm.example.com.evil.example","team":{"id":1}}`, Captured{}, "", true},
		{"no instance", `{"access_token":"at","team":{"id":1}}`, Captured{}, "", true},
		{"no account", `{"access_token":"at","instance_url":"https://eu1.crm.example.com"}`, Captured{}, "", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			p, err := New(Config{Name: "crm", Definition: d, ClientID: "id", ClientSecret: canary(),
				Transport: inProcess(func(w http.ResponseWriter, r *http.Request) {
					if r.FormValue("audience") != "api" || r.FormValue("grant_type") == "" {
						w.WriteHeader(http.StatusBadRequest)
						return
					}
					_, _ = w.Write([]byte(row.body))
				})})
			if err != nil {
				t.Fatal(err)
			}
			if !p.HasCapture() {
				t.Error("HasCapture = false")
			}
			token, err := p.Refresh(t.Context(), secret.New("rt"))
			if err != nil || token.AccessToken.Reveal() != "at" {
				t.Fatalf("an issued token is lost: %v", err)
			}
			got, err := p.Capture(t.Context(), token.AccessToken, token.Captured)
			if (err != nil) != row.err {
				t.Fatalf("error = %v", err)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if base, err := p.APIBaseURL(got.Metadata); err != nil || base != row.base {
				t.Errorf("base = %q, error %v", base, err)
			}
		})
	}
}

func TestTheLookUpGoesWhereTheTokenResponseSays(t *testing.T) {
	asked := ""
	p, err := New(Config{Name: "crm", ClientID: "id", ClientSecret: canary(),
		Definition: Definition{
			AuthorizeURL: "https://a.example/", TokenURL: "https://a.example/token", ClientAuth: ClientAuthPost,
			TokenCapture: map[string]Capture{"api_domain": {Pointer: "/api_domain", Pattern: `^https://[a-z0-9-]+\.crm\.example\.com$`, Required: true}},
			AfterConnect: &AfterConnect{URL: "{api_domain}/me"},
		},
		Transport: inProcess(func(w http.ResponseWriter, r *http.Request) {
			asked = r.URL.String()
			_, _ = w.Write([]byte(`{}`))
		})})
	if err != nil {
		t.Fatal(err)
	}
	told := Captured{Metadata: map[string]string{"api_domain": "https://acme.crm.example.com"}}
	if _, err := p.Capture(t.Context(), secret.New("at"), told); err != nil || asked != "https://acme.crm.example.com/me" {
		t.Errorf("asked %q, error %v", asked, err)
	}
	for _, domain := range []string{"", "https://evil.example", "https://a.crm.example.com/"} {
		asked = ""
		if _, err := p.Capture(t.Context(), secret.New("at"), Captured{Metadata: map[string]string{"api_domain": domain}}); err == nil || asked != "" {
			t.Errorf("with %q: asked %q, error %v", domain, asked, err)
		}
	}
}

func TestTheLookUpIsMadeAsTheDefinitionSays(t *testing.T) {
	for _, row := range []struct {
		name  string
		after AfterConnect
		want  http.Header
		body  string
	}{
		{"plain", AfterConnect{}, http.Header{"Authorization": {"Bearer at"}, "Accept": {"application/json"}}, ""},
		{"a header that carries the token", AfterConnect{Headers: map[string]string{"X-Token": "{access_token}"}},
			http.Header{"X-Token": {"at"}, "Accept": {"application/json"}}, ""},
		{"a version, and the client", AfterConnect{Authorization: "OAuth {access_token}", Headers: map[string]string{"Version": "2022-06-28", "Client-Id": "{client_id}"}},
			http.Header{"Authorization": {"OAuth at"}, "Version": {"2022-06-28"}, "Client-Id": {"id"}, "Accept": {"application/json"}}, ""},
		{"a query", AfterConnect{Method: "POST", Body: `{"query":"{ me { id } }"}`},
			http.Header{"Authorization": {"Bearer at"}, "Content-Type": {"application/json"}, "Accept": {"application/json"}}, `{"query":"{ me { id } }"}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.after.URL = "https://a.example/me"
			var got *http.Request
			var body [64]byte
			n := 0
			p, err := New(Config{
				Name: "acme", ClientID: "id", ClientSecret: canary(),
				Definition: Definition{AuthorizeURL: "https://a.example/", TokenURL: "https://a.example/", ClientAuth: ClientAuthPost, AfterConnect: &row.after},
				Transport: inProcess(func(w http.ResponseWriter, r *http.Request) {
					got = r
					if r.Body != nil {
						n, _ = r.Body.Read(body[:])
					}
					_, _ = w.Write([]byte(`{}`))
				}),
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Capture(t.Context(), secret.New("at"), Captured{}); err != nil {
				t.Fatal(err)
			}
			got.Header.Del("User-Agent")
			if diff := cmp.Diff(row.want, got.Header); diff != "" || string(body[:n]) != row.body {
				t.Errorf("body %q, headers (-want +got):\n%s", body[:n], diff)
			}
		})
	}
}
