package provider

import (
	_ "embed"
	"fmt"

	"github.com/goccy/go-yaml"
)

//go:embed catalog.yaml
var catalog []byte

// Templates returns the built-in definitions by name. The map belongs to the
// caller.
func Templates() (map[string]Definition, error) {
	var templates map[string]Definition
	if err := yaml.UnmarshalWithOptions(catalog, &templates, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("read the catalogue: %w", err)
	}
	return templates, nil
}
