package main

import (
	"maps"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/tokenvault/tokenvault/cmd/tokenvault/internal/config"
	"github.com/tokenvault/tokenvault/vault/keyring"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/server"
)

// TestTheSandboxsConfigurationCanWork reads what it prints as serve would, and has
// the providers tested.
func TestTheSandboxsConfigurationCanWork(t *testing.T) {
	templates, err := provider.Templates()
	if err != nil {
		t.Fatal(err)
	}
	played := slices.Sorted(maps.Keys(templates))
	played = slices.DeleteFunc(played, func(name string) bool { return templates[name].ClientAuth == provider.ClientAuthPrivateKeyJWT })
	for name, s := range map[string]sandboxServer{
		"post": {clientAuth: "post"}, "basic": {clientAuth: "basic"}, "none": {clientAuth: "none"},
		"the catalogue": {clientAuth: "post", providers: played},
	} {
		t.Run(name, func(t *testing.T) {
			s.clientID = "123"
			if err := s.complete(); err != nil {
				t.Fatal(err)
			}
			web := httptest.NewUnstartedServer(nil)
			sb, d, err := s.open(web.Listener.Addr())
			if err != nil {
				t.Fatal(err)
			}
			web.Config.Handler = sb
			web.Start()
			defer web.Close()
			for _, p := range parseProviders(t, d.Configuration, s.clientSecret) {
				testPlayed(t, p, d)
			}
		})
	}
}

func parseProviders(t *testing.T, providers, clientSecret string) []provider.Config {
	t.Helper()
	key := keyring.GenerateMasterKey().Reveal()
	c, err := config.Parse("sandbox.yaml", []byte(providers+minimalConfiguration), config.Source{
		LookupEnv: func(string) (string, bool) { return clientSecret, true },
		ReadFile:  func(string) ([]byte, error) { return []byte(key), nil },
		RPCs:      server.RPCs(),
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, providers)
	}
	return c.Providers
}

func testPlayed(t *testing.T, c provider.Config, d sandboxDescription) {
	t.Helper()
	p, err := provider.New(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, played := range d.Providers {
		if played.Name == c.Name {
			if p, err = p.With(played.Params); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, f := range p.Probe(t.Context()) {
		if f.Verdict == provider.VerdictProblem || f.Verdict != provider.VerdictOK && f.Check == provider.CheckClient {
			t.Errorf("%s: %s %s: %s", c.Name, f.Check, f.Address, f.Text)
		}
	}
}

// minimalConfiguration is what a vault needs besides providers.
const minimalConfiguration = `
storage: {bolt: {path: vault.db}}
master_key: file:master.key
binding: link
callers:
  - {name: a, token_sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef, rpcs: ["*"], providers: ["*"], subjects: ["*"]}
`
