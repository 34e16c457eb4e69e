package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tokenvault/tokenvault/cmd/tokenvault/internal/config"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/server"
)

func newProviderTest() *cobra.Command {
	var path string
	var params []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:        "test NAME [--config FILE]",
		SuggestFor: []string{"check", "probe", "verify"},
		Short:      "Find out whether a provider can be used, without a person",
		Long: `Reaches a provider of a configuration and finds out, as far as that can be told
without a person, whether it can be used: its endpoints and their certificates, the
issuer's metadata, the redirect URI, and the client's id and secret. What it shows the
provider is made up; no connection is touched. The exit status is 1 when something is
wrong.

The client secret is that of the configuration, also where another was put into force
with rotate-secret.`,
		Example: "  tokenvault provider test mailchimp --config tokenvault.yaml",
		Args:    providerArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := loadForTest(path, args[0], params, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			findings := p.Probe(cmd.Context())
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			if asJSON {
				err = printIndented(cmd.OutOrStdout(), map[string]any{"provider": args[0], "findings": findings})
			} else {
				err = printFindings(cmd.OutOrStdout(), findings)
			}
			isProblem := func(f provider.Finding) bool { return f.Verdict == provider.VerdictProblem }
			if err == nil && slices.ContainsFunc(findings, isProblem) {
				if names := unresolved(cmd.Context(), findings); len(names) > 0 {
					fmt.Fprintf(cmd.ErrOrStderr(), "None of the host names can be looked up from here: %s. If they are right, look at the DNS and the network of this machine.\n", strings.Join(names, ", "))
				}
				return errSomethingIsWrong
			}
			return err
		},
	}
	cmd.Flags().StringVar(&path, "config", "tokenvault.yaml", "the configuration `file`")
	cmd.Flags().StringArrayVar(&params, "param", nil, "a value for a variable of the provider, `NAME=VALUE`; may be given several times")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the answer as JSON")
	return cmd
}

// loadForTest makes the provider that a vault with that configuration would have.
func loadForTest(path, name string, params []string, log io.Writer) (*provider.Provider, error) {
	values, err := parseParams(params)
	if err != nil {
		return nil, err
	}
	source, err := config.LoadProvider(path, name, config.System(server.RPCs()))
	if err != nil {
		return nil, err
	}
	for _, warning := range source.Warnings {
		fmt.Fprintln(log, "Warning:", warning)
	}
	if len(source.Problems) > 0 {
		return nil, &config.Error{Problems: source.Problems}
	}
	p, err := provider.New(source.Config)
	if err != nil {
		return nil, err
	}
	bound, err := p.With(values)
	var fault *provider.ParamError
	if errors.As(err, &fault) {
		return nil, fmt.Errorf("--param %s=...: %s", fault.Name, fault.Problem)
	}
	return bound, err
}

// lookUpPatience is how long the look-ups of host names may take.
const lookUpPatience = 5 * time.Second

// unresolved returns the host names of findings, if there are some and not one of
// them can be looked up.
func unresolved(ctx context.Context, findings []provider.Finding) []string {
	ctx, cancel := context.WithTimeout(ctx, lookUpPatience)
	defer cancel()
	var names []string
	for _, f := range findings {
		u, err := url.Parse(f.Address)
		if err != nil || u.Hostname() == "" || f.Check == provider.CheckRedirect || slices.Contains(names, u.Hostname()) {
			continue
		}
		if f.Verdict == provider.VerdictOK {
			return nil
		}
		if _, err := net.DefaultResolver.LookupHost(ctx, u.Hostname()); err == nil {
			return nil
		}
		names = append(names, u.Hostname())
	}
	return names
}

func printFindings(w io.Writer, findings []provider.Finding) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "RESULT\tCHECK\tFOUND")
	for _, f := range findings {
		found := f.Text
		if f.Address != "" {
			found = f.Address + ": " + f.Text
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", f.Verdict, f.Check, found)
	}
	return t.Flush()
}
