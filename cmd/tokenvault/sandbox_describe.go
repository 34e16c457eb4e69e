package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/sandbox/playbook"
)

// standardName is what the configuration calls the built-in standard provider.
const standardName = "sandbox"

// sandboxDescription is what people need to use the sandbox. The secret is made up
// as all the rest.
type sandboxDescription struct {
	Providers []playedProvider `json:"providers"`
	// The client is left out where all the providers take API keys alone.
	ClientID     string   `json:"clientId,omitempty"`
	ClientSecret string   `json:"clientSecret,omitempty"`
	RedirectURIs []string `json:"redirectUris,omitempty"`
	// Configuration is for a vault: its providers, in YAML.
	Configuration string `json:"configuration"`
}

// playedProvider is one of the providers of a sandbox.
type playedProvider struct {
	Name       string            `json:"name"`
	ClientAuth string            `json:"clientAuth,omitempty"` // empty: it takes API keys alone
	Endpoints  []playedEndpoint  `json:"endpoints"`
	Params     map[string]string `json:"params,omitempty"` // values for its variables
	APIKey     string            `json:"apiKey,omitempty"` // one that its API takes

	more  []string // further lines of its configuration
	tryIt string   // a command that uses it
}

func (p playedProvider) hasClients() bool { return p.ClientAuth != "" }

type playedEndpoint struct {
	Key string `json:"key"`
	URL string `json:"url"`
}

// builtIn are the providers that are there unless others are asked for.
func builtIn(base, clientAuth string) []playedProvider {
	id, mailchimp := base+"/oauth", base+"/mailchimp"
	grants := "grants: [authorization_code, device_code, client_credentials]"
	if clientAuth == string(sandbox.AuthNone) {
		grants = "grants: [authorization_code, device_code]" // a public client has nothing of its own
	}
	all := []playedProvider{{
		Name: standardName, ClientAuth: clientAuth,
		Endpoints: []playedEndpoint{
			{"issuer", id}, {"authorize_url", id + "/authorize"}, {"token_url", id + "/token"}, {"revoke_url", id + "/revoke"},
			{"device_url", id + "/device"}, {"after_connect.url", id + "/userinfo"},
		},
		more: []string{grants, "scopes: [offline_access]", "account: {id: /sub, name: /name, email: /email}"},
	}}
	if clientAuth == string(sandbox.AuthNone) {
		return all // Mailchimp has no public clients
	}
	return append(all, playedProvider{
		Name: "mailchimp", ClientAuth: clientAuth, APIKey: sandbox.DefaultAPIKey(), tryIt: tryMailchimp(mailchimp),
		Endpoints: []playedEndpoint{
			{"authorize_url", mailchimp + "/oauth2/authorize"}, {"token_url", mailchimp + "/oauth2/token"},
			{"after_connect.url", mailchimp + "/oauth2/metadata"}, {"api_base_url", mailchimp + "/{dc}/3.0"},
		},
	})
}

// tryMailchimp is how mailchimp-mcp uses the made-up Mailchimp at a base without a vault.
func tryMailchimp(base string) string {
	key := sandbox.DefaultAPIKey()
	dataCenter := key[strings.LastIndex(key, "-")+1:]
	return fmt.Sprintf("MAILCHIMP_API_KEY=%s MAILCHIMP_API_URL=%s/%s/3.0 %s", key, base, dataCenter, cmp.Or(mcpProgram(), "mailchimp-mcp"))
}

// checkPlayable refuses names that the sandbox cannot play.
func checkPlayable(names []string) error {
	templates, err := provider.Templates()
	if err != nil {
		return err
	}
	for _, name := range names {
		d, ok := templates[name]
		switch {
		case !ok:
			return fmt.Errorf("--provider: %w", notInCatalogue(name, templates))
		case d.ClientAuth == provider.ClientAuthPrivateKeyJWT:
			return fmt.Errorf("--provider: clients of %s authenticate with keys, which this command has none of", name)
		}
	}
	return nil
}

// play makes the part of an entry of the catalogue, at a base.
func play(name string, d provider.Definition, base string, client sandbox.Client) (playbook.Part, playedProvider, error) {
	part, err := playbook.Cast(name, d, []sandbox.Client{client})
	if err != nil {
		return playbook.Part{}, playedProvider{}, err
	}
	part = part.At(base)
	d = part.Definition()
	played := playedProvider{Name: name, ClientAuth: string(d.ClientAuth), Params: part.Params, APIKey: part.APIKey}
	var afterConnect string
	if d.AfterConnect != nil {
		afterConnect = d.AfterConnect.URL
	}
	for _, e := range []playedEndpoint{
		{"issuer", d.Issuer}, {"authorize_url", d.AuthorizeURL}, {"token_url", d.TokenURL}, {"revoke_url", d.RevokeURL},
		{"device_url", d.DeviceURL}, {"after_connect.url", afterConnect}, {"api_base_url", d.APIBaseURL},
	} {
		if e.URL != "" {
			played.Endpoints = append(played.Endpoints, e)
		}
	}
	if d.DeviceURL != "" && d.Grants == nil {
		played.more = append(played.more, "grants: [authorization_code, device_code]")
	}
	return part, played, nil
}

// configuration has the providers as a vault reads them.
func (d sandboxDescription) configuration() string {
	var text strings.Builder
	text.WriteString("providers:\n")
	for _, p := range d.Providers {
		fmt.Fprintf(&text, "  %s:\n", p.Name)
		discovers := p.Name == standardName
		for _, e := range p.Endpoints {
			switch {
			case e.Key == "after_connect.url":
				fmt.Fprintf(&text, "    after_connect: {url: %q}\n", e.URL)
			case !discovers || e.Key == "issuer":
				fmt.Fprintf(&text, "    %s: %s\n", e.Key, e.URL)
			}
		}
		if p.hasClients() {
			fmt.Fprintf(&text, "    client_id: %q\n    client_auth: %s\n", d.ClientID, p.ClientAuth)
			if p.ClientAuth != string(provider.ClientAuthNone) {
				text.WriteString("    client_secret: env:SANDBOX_SECRET\n")
			}
		}
		for _, line := range p.more {
			fmt.Fprintf(&text, "    %s\n", line)
		}
		text.WriteString("    allow_private_network: true\n")
	}
	return text.String()
}

func (d sandboxDescription) print(w io.Writer) error {
	var text strings.Builder
	line := func(key, value string) { fmt.Fprintf(&text, "  %-18s %s\n", key, value) }
	text.WriteString("Made-up providers are running; nothing real is touched.\n")
	for _, p := range d.Providers {
		fmt.Fprintf(&text, "\n%s:\n", p.Name)
		for _, e := range p.Endpoints {
			line(e.Key, e.URL)
		}
		if p.hasClients() {
			line("client_auth", p.ClientAuth)
		}
		if p.APIKey != "" {
			line("an API key", p.APIKey)
		}
		if p.tryIt != "" {
			line("over MCP", p.tryIt)
		}
		for _, name := range slices.Sorted(maps.Keys(p.Params)) {
			line("--param", name+"="+p.Params[name])
		}
	}
	if d.ClientID != "" {
		text.WriteString("\nThe client that they know:\n")
		line("client_id", d.ClientID)
	}
	if d.ClientSecret != "" {
		line("client_secret", d.ClientSecret)
	}
	for _, uri := range d.RedirectURIs {
		line("redirect_uri", uri)
	}
	text.WriteString("\nFor the configuration of a vault")
	if d.ClientSecret != "" {
		fmt.Fprintf(&text, " that has SANDBOX_SECRET=%s in its environment", d.ClientSecret)
	}
	fmt.Fprintf(&text, ":\n\n%s\nStop with Ctrl-C.\n", d.Configuration)
	_, err := io.WriteString(w, text.String())
	return err
}
