package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/client"
)

func newProvider() *cobra.Command {
	cmd := &cobra.Command{
		Use:        "provider",
		GroupID:    "prepare",
		SuggestFor: []string{"providers", "catalogue", "catalog", "template"},
		Short:      "List, explain and test providers, and rotate their client secrets",
		Args:       subcommands,
		RunE:       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newProviderList(), newProviderShow(), newProviderTest(), newProviderRotateSecret())
	return cmd
}

// providerArgs are the arguments of commands about one provider.
func providerArgs(cmd *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
	case 1:
		return nil
	default:
		return fmt.Errorf("%s takes one provider, and %q is one too many", cmd.CommandPath(), args[1])
	}
	return fmt.Errorf("name a provider: %s mailchimp", cmd.CommandPath())
}

// callAdmin dials the vault and makes a call of the operators' service.
func (f *clientFlags) callAdmin(ctx context.Context, use func(context.Context, tokenvaultv1.AdminServiceClient) error) error {
	return f.dialClient(ctx, func(ctx context.Context, c *client.Client) error {
		ctx, cancel := context.WithTimeout(ctx, callPatience)
		defer cancel()
		return use(ctx, tokenvaultv1.NewAdminServiceClient(c.Conn()))
	})
}

// parseParams reads values for a provider's variables: shop=acme.
func parseParams(texts []string) (map[string]string, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	params := map[string]string{}
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" || value == "" {
			return nil, fmt.Errorf("--param %q: write NAME=VALUE, such as shop=acme", text)
		}
		if _, twice := params[name]; twice {
			return nil, fmt.Errorf("--param %s is there twice", name)
		}
		params[name] = value
	}
	return params, nil
}

// errSomethingIsWrong ends a command that has printed what is wrong.
var errSomethingIsWrong = errors.New("something is wrong: see above")

// shortGrants names grants as people do.
func shortGrants(grants []string) string {
	names := make([]string, len(grants))
	for i, grant := range grants {
		names[i] = strings.TrimPrefix(grant, "urn:ietf:params:oauth:grant-type:")
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// printIndented prints a value of our own as JSON.
func printIndented(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}
