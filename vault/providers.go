package vault

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tokenvault/tokenvault/vault/provider"
)

// ProviderInfo is what operators are told of a provider.
type ProviderInfo struct {
	Name, DisplayName string
	// RedirectURI is to be registered at the provider. Empty: nobody can connect
	// an account in a browser.
	RedirectURI string
	// GrantTypes are those by which connections can be made, as definitions name
	// them. Empty: API keys only.
	GrantTypes []string
	APIKeys    bool
	Scopes     []string
	Variables  []string
	// SecretRotateTime is when the client secret was last rotated here. Zero: that
	// of the configuration is in force.
	SecretRotateTime time.Time
	// Problem is what is wrong at the moment, in a sentence. Empty: nothing is
	// known to be.
	Problem string
}

// ListProviders returns the configured providers, sorted by name, that visible
// reports true for. Nil: all.
func (v *Vault) ListProviders(visible func(name string) bool) []ProviderInfo {
	var infos []ProviderInfo
	for _, name := range slices.Sorted(maps.Keys(v.providers)) {
		if visible == nil || visible(name) {
			infos = append(infos, v.describeProvider(v.providers[name]))
		}
	}
	return infos
}

func (v *Vault) describeProvider(p *provider.Provider) ProviderInfo {
	d := p.Definition()
	info := ProviderInfo{
		Name:             p.Name(),
		DisplayName:      p.DisplayName(),
		APIKeys:          p.HasAPIKey(),
		Scopes:           p.ScopesFor(nil),
		Variables:        slices.Sorted(maps.Keys(d.Variables)),
		SecretRotateTime: v.secrets.rotateTime(p.Name()),
	}
	if p.HasOAuth() {
		info.GrantTypes = d.GrantTypes()
		if p.Grants(provider.GrantAuthorizationCode) {
			info.RedirectURI = p.RedirectURL()
		}
	}
	if cause := v.secrets.problem(p.Name()); cause != nil {
		info.Problem = misconfigured(p, cause).Message
	} else if v.breakers.of(p).closedFor(v.now()) > 0 {
		info.Problem = fmt.Sprintf("%s has failed several times in a row and is asked again from time to time.", p.DisplayName())
	}
	return info
}
