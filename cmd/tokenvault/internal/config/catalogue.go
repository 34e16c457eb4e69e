package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tokenvault/tokenvault/cmd/internal/nearest"
	"github.com/tokenvault/tokenvault/vault/provider"
)

// inCatalogue names the templates that may have been meant.
func inCatalogue(name string, templates map[string]provider.Definition) string {
	all := slices.Sorted(maps.Keys(templates))
	if near := nearest.Names(name, all); len(near) > 0 {
		return strings.Join(near, ", ")
	}
	return fmt.Sprintf("%d others, none of a similar name (`tokenvault provider list --catalogue` lists them)", len(all))
}
