package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tokenvault/tokenvault/cmd/internal/nearest"
	"github.com/tokenvault/tokenvault/vault/provider"
)

// ProviderSource is what a configuration says of one provider.
type ProviderSource struct {
	// Config is what the provider is made of, as far as it can be read.
	Config provider.Config
	// Template is the name of the template. Empty: there is none.
	Template string
	// Written is what the configuration writes over the template.
	Written provider.Definition
	// Client has client_id and its kin as they are written. A secret that stands
	// in place of a reference is not in it.
	Client []Value
	// Problems are what is wrong with this provider, and Warnings what should not
	// be so. What is wrong elsewhere in the file does not matter.
	Problems []Problem
	Warnings []string

	reader *reader
}

// Value is a key with what is written there.
type Value struct{ Key, Text string }

// Line returns the line on which a key of the provider stands.
func (p *ProviderSource) Line(path []string) int {
	return lineOf(p.reader.tree, append([]string{"providers", p.Config.Name}, path...))
}

// LoadProvider reads one provider of the configuration at path. Its error is a
// [*Error] where the file could be read.
func LoadProvider(path, name string, src Source) (*ProviderSource, error) {
	data, err := readFile(path, src)
	if err != nil {
		return nil, err
	}
	r, f, err := open(path, data, src)
	if err != nil {
		return nil, err
	}
	templates, err := provider.Templates()
	if err != nil {
		return nil, err
	}
	written, ok := f.Providers[name]
	if !ok {
		return nil, noSuchProvider(path, name, f.Providers, templates)
	}
	publicURL := r.publicURL(f.PublicURL, r.address([]string{"listen", "http"}, f.Listen.HTTP, defaultHTTP), f.TLS)
	r.keepProblemsOf(name)
	p := &ProviderSource{
		Config:   r.provider(name, written, templates, publicURL),
		Template: written.template(name, templates), Written: written.Definition, reader: r,
	}
	p.Problems, p.Warnings = r.problems, r.warnings
	for _, v := range []Value{
		{"client_id", written.ClientID}, {"client_secret", showReference(written.ClientSecret)},
		{"client_key", showReference(written.ClientKey)}, {"client_key_id", written.ClientKeyID},
	} {
		if v.Text != "" {
			p.Client = append(p.Client, v)
		}
	}
	return p, nil
}

// keepProblemsOf forgets what is wrong elsewhere than with a provider.
func (r *reader) keepProblemsOf(name string) {
	key := "providers." + name
	r.problems = slices.DeleteFunc(r.problems, func(p Problem) bool {
		return p.Key != key && !strings.HasPrefix(p.Key, key+".")
	})
}

func noSuchProvider(path, name string, all map[string]fileProvider, templates map[string]provider.Definition) error {
	names := slices.Sorted(maps.Keys(all))
	text := fmt.Sprintf("%s has no provider %q", path, name)
	if near := nearest.Names(name, names); len(near) > 0 {
		text += ": did you mean " + strings.Join(near, " or ") + "?"
	} else if len(names) > 0 {
		text += ", but has " + strings.Join(names, ", ")
	}
	if _, known := templates[name]; known {
		text += fmt.Sprintf("; the catalogue has %s: leave out --config to see it", name)
	}
	return fmt.Errorf("%s", text)
}

// showReference returns a reference, but nothing that may be a secret.
func showReference(ref string) string {
	kind, name, _ := strings.Cut(ref, ":")
	switch {
	case ref == "", kind == "env" && environmentName.MatchString(name), kind == "file" && name != "":
		return ref
	default:
		return "(not a reference)"
	}
}
