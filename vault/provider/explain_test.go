package provider

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func explain(t *testing.T, name, template string, over Definition) map[string]string {
	t.Helper()
	fields, err := Explain(name, template, over)
	if err != nil {
		t.Fatal(err)
	}
	return byPath(fields)
}

func byPath(fields []Field) map[string]string {
	out := map[string]string{}
	for _, f := range fields {
		out[strings.Join(f.Path, ".")] = string(f.Origin) + f.Library + " " + f.Value
	}
	return out
}

func TestEveryValueHasAnOrigin(t *testing.T) {
	got := explain(t, "mailchimp", "mailchimp", Definition{
		DisplayName: "Ours", Scopes: []string{}, AuthorizeParams: map[string]string{"prompt": "consent"},
		AfterConnect: &AfterConnect{URL: "https://127.0.0.1/metadata"}, Refresh: Refresh{Grace: 90 * time.Second},
	})
	for path, want := range map[string]string{
		"display_name":                     "configuration Ours",
		"authorize_url":                    "libraryMailchimp https://login.mailchimp.com/oauth2/authorize",
		"client_auth":                      "catalogue post",
		"scopes":                           "configuration []",
		"scope_separator":                  `default " "`,
		"authorize_params.prompt":          "configuration consent",
		"refresh.grace":                    "configuration 1m30s",
		"after_connect.url":                "configuration https://127.0.0.1/metadata",
		"after_connect.method":             "default GET",
		"after_connect.authorization":      "catalogue OAuth {access_token}",
		"after_connect.capture.dc.pointer": "catalogue /dc",
		"api_key.header":                   "default Authorization",
		"allow_private_network":            "default false",
	} {
		if got[path] != want {
			t.Errorf("%s: got %q, want %q", path, got[path], want)
		}
	}
}

func TestEveryFieldCanBeExplained(t *testing.T) {
	definition := filled(reflect.TypeFor[Definition]()).Interface().(Definition)
	fields, err := Explain("acme", "", definition)
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for _, field := range fields {
		told[field.Path[0]] = true
	}
	for i := range reflect.TypeFor[Definition]().NumField() {
		if name := reflect.TypeFor[Definition]().Field(i).Tag.Get("yaml"); !told[name] {
			t.Errorf("nothing is said of %s", name)
		}
	}
}

func TestWhatTheIssuerTellsIsSaidToBeDiscovered(t *testing.T) {
	fields, err := Explain("acme", "", Definition{Issuer: "https://id.example", TokenURL: "https://id.example/t"})
	if err != nil {
		t.Fatal(err)
	}
	got := byPath(AddDiscovered(fields, Endpoints{AuthorizeURL: "https://id.example/a", TokenURL: "https://id.example/other", ClientAuth: ClientAuthBasic}))
	want := map[string]string{
		"display_name": "default acme", "issuer": "configuration https://id.example",
		"authorize_url": "discovery https://id.example/a", "token_url": "configuration https://id.example/t", "client_auth": "discovery basic",
		"grants": "default [authorization_code]", "pkce": "default S256", "scope_separator": `default " "`, "token_format": "default form", "allow_private_network": "default false",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheWholeCatalogueCanBeExplained(t *testing.T) {
	templates, err := Templates()
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range templates {
		fields, err := Explain(name, name, Definition{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, f := range fields {
			if f.Origin == OriginConfiguration || (f.Origin == OriginLibrary) != (f.Library != "") {
				t.Errorf("%s: %v is said to be of %s %s", name, f.Path, f.Origin, f.Library)
			}
		}
		if _, ok := byPath(fields)["display_name"]; !ok || d.DisplayName == "" {
			t.Errorf("%s has no name for people", name)
		}
	}
	if _, err := Explain("acme", "nothing", Definition{}); err == nil {
		t.Error("a template that there is not was explained")
	}
}

func TestDurationsAreWrittenAsTheyAreRead(t *testing.T) {
	for _, want := range []string{"10s", "1m30s", "10m", "8h", "8h30m", "90d", "1m", "100s"} {
		d := parseDuration(want)
		if got := parseDuration(writeDuration(d)); got != d || len(writeDuration(d)) > len(want)+1 {
			t.Errorf("%s is written %s", want, writeDuration(d))
		}
	}
}
