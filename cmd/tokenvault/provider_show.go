package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tokenvault/tokenvault/cmd/internal/nearest"
	"github.com/tokenvault/tokenvault/cmd/tokenvault/internal/config"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/server"
)

func newProviderShow() *cobra.Command {
	var path string
	var asJSON, offline bool
	cmd := &cobra.Command{
		Use:        "show NAME [--config FILE]",
		SuggestFor: []string{"explain", "describe"},
		Short:      "Show what is in force for a provider, and where each value came from",
		Long: `Shows what is in force for a provider of a configuration, and where each value came
from: the configuration with its line, the built-in catalogue, the library
golang.org/x/oauth2/endpoints, the issuer's metadata, or a default. Without --config
it shows a template of the catalogue. It never shows a secret.`,
		Example: "  tokenvault provider show google\n  tokenvault provider show acme --config tokenvault.yaml",
		Args:    providerArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			var shown *shownProvider
			var err error
			if path == "" {
				shown, err = showTemplate(args[0])
			} else {
				shown, err = showConfigured(cmd.Context(), path, args[0], offline)
			}
			if err != nil {
				return err
			}
			if asJSON {
				err = printIndented(cmd.OutOrStdout(), shown)
			} else {
				err = shown.print(cmd.OutOrStdout(), cmd.ErrOrStderr())
			}
			if err == nil && len(shown.Problems) > 0 {
				return errSomethingIsWrong
			}
			return err
		},
	}
	cmd.Flags().StringVar(&path, "config", "", "the configuration `file` (default: none; the catalogue alone)")
	cmd.Flags().BoolVar(&offline, "offline", false, "do not ask the issuer for its metadata")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the answer as JSON")
	return cmd
}

// shownProvider is what `provider show` prints.
type shownProvider struct {
	Name        string       `json:"name"`
	Template    string       `json:"template,omitempty"`
	RedirectURI string       `json:"redirectUri,omitempty"`
	GrantTypes  []string     `json:"grantTypes"`
	Fields      []shownField `json:"fields"`
	// Problems are what is wrong with the configuration, and Notes what could not
	// be found out.
	Problems []string `json:"problems,omitempty"`
	Notes    []string `json:"notes,omitempty"`
}

type shownField struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	From  string `json:"from"` // for people
}

func showTemplate(name string) (*shownProvider, error) {
	templates, err := provider.Templates()
	if err != nil {
		return nil, err
	}
	d, ok := templates[name]
	if !ok {
		return nil, unknownTemplate(name, templates)
	}
	fields, err := provider.Explain(name, name, provider.Definition{})
	if err != nil {
		return nil, err
	}
	shown := &shownProvider{Name: name, Template: name, GrantTypes: d.GrantTypes()}
	for _, field := range fields {
		shown.add(field, "")
	}
	return shown, nil
}

func unknownTemplate(name string, templates map[string]provider.Definition) error {
	return fmt.Errorf("%w (for a provider of a configuration, add --config FILE)", notInCatalogue(name, templates))
}

// notInCatalogue is the error of a name that no template has.
func notInCatalogue(name string, templates map[string]provider.Definition) error {
	if near := nearest.Names(name, slices.Sorted(maps.Keys(templates))); len(near) > 0 {
		return fmt.Errorf("%q is not in the catalogue: did you mean %s?", name, strings.Join(near, " or "))
	}
	return fmt.Errorf("%q is not in the catalogue, which `%s` lists", name, hint("provider", "list", "--catalogue"))
}

func showConfigured(ctx context.Context, path, name string, offline bool) (*shownProvider, error) {
	source, err := config.LoadProvider(path, name, config.System(server.RPCs()))
	if err != nil {
		return nil, err
	}
	d := source.Config.Definition
	shown := &shownProvider{Name: name, Template: source.Template, GrantTypes: d.GrantTypes()}
	if d.HasOAuth() {
		shown.RedirectURI = source.Config.RedirectURL
	}
	fields, err := provider.Explain(name, source.Template, source.Written)
	if err != nil {
		return nil, err
	}
	for _, problem := range source.Problems {
		shown.Problems = append(shown.Problems, problem.String())
	}
	shown.Notes = source.Warnings
	if d.Discovers() {
		fields = shown.discover(ctx, source, fields, offline)
	}
	for _, value := range source.Client {
		shown.Fields = append(shown.Fields, shownField{Key: value.Key, Value: value.Text, From: fmt.Sprintf("%s:%d", path, source.Line([]string{value.Key}))})
	}
	for _, field := range fields {
		shown.add(field, fmt.Sprintf("%s:%d", path, source.Line(field.Path)))
	}
	return shown, nil
}

// discover adds what the issuer tells, or a note that it is not known.
func (s *shownProvider) discover(ctx context.Context, source *config.ProviderSource, fields []provider.Field, offline bool) []provider.Field {
	if offline || len(source.Problems) > 0 {
		s.Notes = append(s.Notes, "the issuer's metadata was not asked for: its endpoints are missing here")
		return fields
	}
	p, err := provider.New(source.Config)
	if err != nil {
		s.Problems = append(s.Problems, err.Error())
		return fields
	}
	e, err := p.Endpoints(ctx)
	if err != nil {
		s.Notes = append(s.Notes, fmt.Sprintf("the issuer's endpoints are missing here: `%s` says why", hint("provider", "test", s.Name)))
		return fields
	}
	return provider.AddDiscovered(fields, e)
}

func (s *shownProvider) add(field provider.Field, line string) {
	from := map[provider.Origin]string{
		provider.OriginConfiguration: line,
		provider.OriginCatalogue:     "catalogue",
		provider.OriginLibrary:       "golang.org/x/oauth2/endpoints " + field.Library,
		provider.OriginDiscovery:     "metadata of the issuer",
		provider.OriginDefault:       "default",
	}[field.Origin]
	s.Fields = append(s.Fields, shownField{Key: strings.Join(field.Path, "."), Value: showValue(field), From: from})
}

// showValue hides what a configuration has in places where people put keys: around
// placeholders too, and in what is asked of an address.
func showValue(field provider.Field) string {
	if field.Origin != provider.OriginConfiguration {
		return field.Value
	}
	key := field.Path[len(field.Path)-1]
	switch mayHoldKeys := field.Path[0] == "token_params" || slices.Contains(field.Path, "headers") || field.Path[0] == "api_headers" || key == "authorization"; {
	case mayHoldKeys && !placeholder.MatchString(field.Value):
		return "(not shown)"
	case mayHoldKeys:
		return showPlaceholders(field.Value)
	case strings.HasSuffix(key, "url") && key != "authorize_url": // browsers are shown that one
		address, query, asks := strings.Cut(field.Value, "?")
		if asks {
			return address + "?" + showPlaceholders(query)
		}
	}
	return field.Value
}

var (
	placeholder = regexp.MustCompile(`\{[a-z_]+\}`)
	scheme      = regexp.MustCompile(`^(Bearer|Basic|OAuth|Token|token) $`)
)

// showPlaceholders shows the placeholders of a value, and a known authentication
// scheme before them.
func showPlaceholders(value string) string {
	var shown strings.Builder
	end := 0
	literal := func(text string) {
		switch {
		case scheme.MatchString(text):
			shown.WriteString(text)
		case text != "":
			shown.WriteString("…")
		}
	}
	for _, at := range placeholder.FindAllStringIndex(value, -1) {
		literal(value[end:at[0]])
		shown.WriteString(value[at[0]:at[1]])
		end = at[1]
	}
	literal(value[end:])
	return shown.String()
}

func (s *shownProvider) print(out, log io.Writer) error {
	fmt.Fprintf(out, "%s: %s; grants: %s\n", s.Name, madeOf(s.Template), shortGrants(s.GrantTypes))
	if s.RedirectURI != "" {
		fmt.Fprintf(out, "Redirect URI to register: %s\n", s.RedirectURI)
	}
	fmt.Fprintln(out)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KEY\tVALUE\tFROM")
	for _, field := range s.Fields {
		fmt.Fprintf(t, "%s\t%s\t%s\n", field.Key, field.Value, field.From)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, note := range s.Notes {
		fmt.Fprintln(log, "Note:", note)
	}
	for _, problem := range s.Problems {
		fmt.Fprintln(log, problem)
	}
	return nil
}

// madeOf says what a provider is made of.
func madeOf(template string) string {
	if template == "" {
		return "no template"
	}
	return "template " + template
}
