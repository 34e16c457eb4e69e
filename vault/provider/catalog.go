package provider

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"github.com/goccy/go-yaml"
)

//go:embed catalog/*.yaml
var catalog embed.FS

// entry is a definition of the catalogue. Those of its endpoints that
// golang.org/x/oauth2/endpoints has come from there, under the name that they
// have there.
type entry struct {
	Endpoint   string `yaml:"endpoint"`
	Definition `yaml:",inline"`
}

// Templates returns the built-in definitions by name. The map belongs to the
// caller.
func Templates() (map[string]Definition, error) {
	all, err := entries()
	if err != nil {
		return nil, err
	}
	templates := make(map[string]Definition, len(all))
	for name, e := range all {
		if templates[name], err = e.resolve(); err != nil {
			return nil, fmt.Errorf("read the catalogue: %s: %w", name, err)
		}
	}
	return templates, nil
}

// entries returns the catalogue as it is written.
func entries() (map[string]entry, error) {
	files, err := fs.Glob(catalog, "catalog/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("read the catalogue: %w", err)
	}
	all := map[string]entry{}
	for _, file := range files {
		data, err := catalog.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read the catalogue: %w", err)
		}
		var some map[string]entry
		if err := yaml.UnmarshalWithOptions(data, &some, DecodeOptions()...); err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		for name, e := range some {
			if _, twice := all[name]; twice {
				return nil, fmt.Errorf("read %s: %s is in the catalogue twice", file, name)
			}
			all[name] = e
		}
	}
	return all, nil
}

// resolve adds the library's endpoints to those of the entry.
func (e entry) resolve() (Definition, error) {
	d := e.Definition
	if e.Endpoint == "" {
		return d, nil
	}
	known, ok := libraryEndpoints()[e.Endpoint]
	if !ok {
		return Definition{}, fmt.Errorf("golang.org/x/oauth2/endpoints has no %s", e.Endpoint)
	}
	for _, field := range []struct {
		own  *string
		from string
	}{{&d.AuthorizeURL, known.AuthURL}, {&d.TokenURL, known.TokenURL}, {&d.DeviceURL, known.DeviceAuthURL}} {
		if *field.own == "" {
			*field.own = variableNames.Replace(field.from)
		}
	}
	return d, nil
}

// variableNames turns what libraryEndpoints gave the library's functions into
// variables. It cannot be in braces there: the library would escape those.
var variableNames = strings.NewReplacer(
	"variable-tenant", "{tenant}", "variable-policy", "{policy}", "variable-shop", "{shop}",
	"variable-domain", "{domain}", "variable-region", "{region}", "variable-host", "{host}",
)
