package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
)

func newProviderList() *cobra.Command {
	var client clientFlags
	var catalogue bool
	cmd := &cobra.Command{
		Use:        "list",
		SuggestFor: []string{"ls"},
		Short:      "List the providers of a running vault, or those of the built-in catalogue",
		Long: `Lists the providers of a running vault that the caller may use: how accounts are
connected, when the client secret was last rotated, and what is wrong at the moment.
With --catalogue it lists the built-in templates, and needs no vault.`,
		Example: "  tokenvault provider list --catalogue",
		Args:    noArguments(""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := cmd.OutOrStdout()
			if catalogue {
				resp, err := listCatalogue()
				if err != nil {
					return err
				}
				if client.json {
					return printJSON(out, resp)
				}
				return printCatalogue(out, resp.GetProviders())
			}
			return client.callAdmin(cmd.Context(), func(ctx context.Context, c tokenvaultv1.AdminServiceClient) error {
				resp, err := c.ListProviders(ctx, &tokenvaultv1.ListProvidersRequest{})
				if err != nil {
					return err
				}
				if client.json {
					return printJSON(out, resp)
				}
				return printProviders(out, resp.GetProviders())
			})
		},
	}
	cmd.Flags().BoolVar(&catalogue, "catalogue", false, "list the built-in templates")
	client.add(cmd)
	return cmd
}

// listCatalogue tells of templates what a vault tells of its providers.
func listCatalogue() (*tokenvaultv1.ListProvidersResponse, error) {
	templates, err := provider.Templates()
	if err != nil {
		return nil, err
	}
	resp := &tokenvaultv1.ListProvidersResponse{}
	for _, name := range slices.Sorted(maps.Keys(templates)) {
		d := templates[name]
		resp.Providers = append(resp.Providers, &tokenvaultv1.Provider{
			Name: name, DisplayName: d.DisplayName, GrantTypes: d.GrantTypes(), ApiKeys: d.APIKey != nil,
			Scopes: slices.Concat(d.Scopes, d.BaseScopes), Variables: slices.Sorted(maps.Keys(d.Variables)),
		})
	}
	return resp, nil
}

func printCatalogue(w io.Writer, all []*tokenvaultv1.Provider) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TEMPLATE\tDISPLAY NAME\tGRANTS\tAPI KEYS\tVARIABLES")
	for _, p := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", p.GetName(), p.GetDisplayName(), shortGrants(p.GetGrantTypes()), yesOrNo(p.GetApiKeys()), orNone(p.GetVariables()))
	}
	return t.Flush()
}

func printProviders(w io.Writer, all []*tokenvaultv1.Provider) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "There are no providers that you may use.")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PROVIDER\tDISPLAY NAME\tGRANTS\tAPI KEYS\tSCOPES\tVARIABLES\tSECRET ROTATED\tPROBLEM")
	for _, p := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.GetName(), p.GetDisplayName(), shortGrants(p.GetGrantTypes()), yesOrNo(p.GetApiKeys()),
			orNone(p.GetScopes()), orNone(p.GetVariables()), describeTime(p.GetSecretRotateTime(), "never"), cmp.Or(p.GetProblem(), "none"))
	}
	return t.Flush()
}

func yesOrNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

func orNone(texts []string) string { return cmp.Or(strings.Join(texts, " "), "none") }
