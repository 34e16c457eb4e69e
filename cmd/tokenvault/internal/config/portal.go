package config

import (
	"slices"
	"strconv"

	"github.com/tokenvault/tokenvault/gateway/brand"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/provider"
)

// brand reads how the portal looks.
func (r *reader) brand(f filePortal) brand.Brand {
	b := brand.Brand{Name: f.Name, AccentColor: f.AccentColor}
	if f.Logo != "" {
		image, err := r.src.ReadFile(r.path(f.Logo))
		if err != nil {
			r.fail([]string{"portal", "logo"}, "cannot be read: %v", err)
		} else {
			b.Logo = image
		}
	}
	if key, err := b.Check(); err != nil {
		r.fail([]string{"portal", key}, "%v", err)
	}
	return b
}

// portal reads which providers people see there who sign in without a link.
func (r *reader) portal(f filePortal, c *Config) (providers []string) {
	path := []string{"portal", "providers"}
	if len(f.Providers) > 0 && c.Binding != vault.BindingLogin {
		r.warn(path, "nobody sees them without a link, since binding is %s; write binding: login", c.Binding)
	}
	for i, name := range f.Providers {
		known := slices.IndexFunc(c.Providers, func(p provider.Config) bool { return p.Name == name })
		switch {
		case name == "*":
			for _, p := range c.Providers {
				providers = append(providers, p.Name)
			}
		case known < 0:
			r.fail(append(path, strconv.Itoa(i)), "%q is not among the providers of this configuration", name)
		default:
			providers = append(providers, name)
		}
	}
	if c.Binding != vault.BindingLogin {
		return nil
	}
	return providers
}
