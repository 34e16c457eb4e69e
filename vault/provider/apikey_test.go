package provider

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenvault/tokenvault/vault/secret"
)

func TestAPIKeysAreReadAndSent(t *testing.T) {
	for _, row := range []struct {
		name     string
		d        Definition
		key      string
		metadata map[string]string
		headers  map[string]string
		base     string
	}{
		{
			"bearer", Definition{APIKey: &APIKey{}, APIBaseURL: "https://api.example.com"}, "k1",
			map[string]string{}, map[string]string{"Authorization": "Bearer k1"}, "https://api.example.com",
		},
		{
			"a data centre at its end",
			Definition{APIKey: &APIKey{Pattern: `^[0-9a-f]+-(?P<dc>[a-z]+[0-9]+)$`}, APIBaseURL: "https://{dc}.api.example.com/3.0"}, "0a-us6",
			map[string]string{"dc": "us6"}, map[string]string{"Authorization": "Bearer 0a-us6"}, "https://us6.api.example.com/3.0",
		},
		{
			"a header of its own", Definition{APIKey: &APIKey{Header: "api-key"}}, "k1",
			map[string]string{}, map[string]string{"api-key": "k1"}, "",
		},
		{
			"a scheme of its own, and a version",
			Definition{APIKey: &APIKey{Authorization: "Acme-Key {api_key}"}, APIHeaders: map[string]string{"revision": "2024-10-15"}}, "k1",
			map[string]string{}, map[string]string{"Authorization": "Acme-Key k1", "revision": "2024-10-15"}, "",
		},
		{
			"no header of access tokens", Definition{APIKey: &APIKey{}, APIHeaders: map[string]string{"X-Token": "{access_token}"}}, "k1",
			map[string]string{}, map[string]string{"Authorization": "Bearer k1"}, "",
		},
		{
			"basic with the key as the user name", Definition{APIKey: &APIKey{Basic: "{api_key}:"}}, "k1",
			map[string]string{}, map[string]string{"Authorization": "Basic azE6"}, "",
		},
		{
			"basic credentials and a host",
			Definition{
				APIKey:     &APIKey{Pattern: `^(?P<host>[a-z0-9.-]+)/(?P<api_key>ck_[0-9a-f]+:cs_[0-9a-f]+)$`, Basic: "{api_key}"},
				APIBaseURL: "https://{host}/wp-json",
			}, "shop.example.com/ck_1:cs_2",
			map[string]string{"host": "shop.example.com"}, map[string]string{"Authorization": "Basic Y2tfMTpjc18y"}, "https://shop.example.com/wp-json",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			p, err := New(Config{Name: "acme", Definition: row.d})
			if err != nil {
				t.Fatal(err)
			}
			if p.HasOAuth() || !p.HasAPIKey() {
				t.Error("want a provider of API keys alone")
			}
			metadata, err := p.APIKeyMetadata(secret.New(row.key))
			if err != nil {
				t.Fatal(err)
			}
			headers, err := p.APIKeyHeaders(secret.New(row.key))
			if err != nil {
				t.Fatal(err)
			}
			base, err := p.APIBaseURL(metadata)
			if err != nil || base != row.base {
				t.Errorf("base = %q, error %v; want %q", base, err, row.base)
			}
			if diff := cmp.Diff(row.metadata, metadata); diff != "" {
				t.Errorf("metadata (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(row.headers, headers); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestKeysOfAnotherFormAreRefused(t *testing.T) {
	p, err := New(Config{Name: "acme", Definition: Definition{APIKey: &APIKey{Pattern: `^[0-9a-f]+-(?P<dc>[a-z]+[0-9]+)$`}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]string{"empty": "", "no data centre": "0a", "a line break": "0a-us6\n", "a space": "0a -us6"} {
		t.Run(name, func(t *testing.T) {
			if _, err := p.APIKeyMetadata(secret.New(key)); err == nil {
				t.Error("accepted")
			}
			if _, err := p.APIKeyHeaders(secret.New(key)); err == nil {
				t.Error("accepted for headers")
			}
		})
	}
	if _, err := p.Refresh(t.Context(), secret.New("rt")); KindOf(err) != Misconfigured || !errors.Is(err, ErrNotSupported) {
		t.Errorf("refresh: error = %v, want one that it is not supported", err)
	}
}

func TestWrongAPIKeysOfADefinitionAreNamed(t *testing.T) {
	for _, row := range []struct {
		name string
		d    Definition
		path string
	}{
		{"no regular expression", Definition{APIKey: &APIKey{Pattern: "("}}, "api_key.pattern"},
		{"a group that stands for something else", Definition{APIKey: &APIKey{Pattern: "(?P<client_id>.)"}}, "api_key.pattern"},
		{"authorization without the key", Definition{APIKey: &APIKey{Authorization: "Bearer"}}, "api_key.authorization"},
		{"authorization of two lines", Definition{APIKey: &APIKey{Authorization: "a\n{api_key}"}}, "api_key.authorization"},
		{"authorization and basic", Definition{APIKey: &APIKey{Authorization: "{api_key}", Basic: "{api_key}:"}}, "api_key.basic"},
		{"basic without a colon", Definition{APIKey: &APIKey{Basic: "x{api_key}"}}, "api_key.basic"},
		{"no name of a header", Definition{APIKey: &APIKey{Header: "a b"}}, "api_key.header"},
		{"a base URL of something unknown", Definition{APIKey: &APIKey{}, APIBaseURL: "https://{dc}.example.com"}, "api_key.pattern"},
		{"a group that may be missing", Definition{APIKey: &APIKey{Pattern: "^k(-(?P<dc>[a-z]+))?$"}, APIBaseURL: "https://{dc}.api.example.com"}, "api_key.pattern"},
		{"a group of anything in a host", Definition{APIKey: &APIKey{Pattern: "^(?P<dc>.+)$"}, APIBaseURL: "https://{dc}.api.example.com"}, "api_key.pattern"},
		{"the whole URL", Definition{APIKey: &APIKey{Pattern: "^(?P<u>[a-z]+)$"}, APIBaseURL: "{u}"}, "api_key.pattern"},
		{"a header of something unknown", Definition{APIKey: &APIKey{}, APIHeaders: map[string]string{"X": "{dc}"}}, "api_headers.X"},
		{"a header that is two", Definition{APIKey: &APIKey{}, APIHeaders: map[string]string{"X": "a\r\nY: b"}}, "api_headers.X"},
		{"OAuth without endpoints", Definition{APIKey: &APIKey{}, ClientAuth: ClientAuthPost}, "client_auth"},
		{"neither key nor endpoints", Definition{}, "authorize_url"},
	} {
		t.Run(row.name, func(t *testing.T) {
			problems := row.d.Validate()
			for _, p := range problems {
				if p.Path == row.path {
					return
				}
			}
			t.Errorf("problems = %v, want one of %s", problems, row.path)
		})
	}
}

func FuzzAPIKey(f *testing.F) {
	f.Add(`^[0-9a-f]+-(?P<dc>[a-z]+[0-9]+)$`, "0a-us6")
	f.Add(`^(?P<dc>[a-z]+)/(?P<api_key>.*)$`, "us/key")
	f.Add(`(?P<dc>[a-z])+`, "abc")
	f.Fuzz(func(t *testing.T, pattern, key string) {
		p, err := New(Config{Name: "acme", Definition: Definition{APIKey: &APIKey{Pattern: pattern}, APIBaseURL: "https://{dc}.api.example.com"}})
		if err != nil {
			return
		}
		metadata, err := p.APIKeyMetadata(secret.New(key))
		if err != nil {
			return
		}
		base, err := p.APIBaseURL(metadata)
		if err != nil {
			return // the pattern allows nothing at all for the group
		}
		if domainOf(t, base) != "example.com" {
			t.Errorf("the key %q leads to %q", key, base)
		}
	})
}
