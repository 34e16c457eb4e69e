package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/tokenvault/tokenvault/cmd/internal/cli"
	"github.com/tokenvault/tokenvault/cmd/internal/harden"
	"github.com/tokenvault/tokenvault/cmd/tokenvault/internal/config"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/server"
)

// usualSandbox is where dev has the made-up providers.
const usualSandbox = "127.0.0.1:8090"

func newDev() *cobra.Command {
	d := development{}
	var logging cli.LogFlags
	var faults []string
	cmd := &cobra.Command{
		Use:     "dev",
		GroupID: "run",
		Short:   "Run a vault with a made-up provider beside it, to try things in a browser",
		Long: `Runs a vault with a made-up Mailchimp and a made-up standard provider beside it. Keys,
configuration and data are made in a folder of their own, and are still there after
a restart. Nothing real is touched.

The made-up Mailchimp has audiences and campaigns to read and to change, which begin
anew with every start. It takes an API key, too, so that this uses it without the vault:
  ` + tryMailchimp("http://"+usualSandbox+"/mailchimp") + `
where ` + usualSandbox + ` is the address of --sandbox.

Whoever has a link can use it. With --binding login, people sign in before they give
their consent, at the made-up standard provider; it has no passwords, and whoever comes
chooses to be alice or bob. With --binding confirm, programs say who has come back from
the provider, as ` + "`tokenvault connect --wait`" + ` does.

Have the made-up provider misbehave with --fault ENDPOINT:WHAT, such as
  --fault token:status=503,times=3
  --fault metadata:delay=5s
  --fault token:drop-after          the answer is lost after the token was issued
  --fault token:quirk=expires-in-empty
Endpoints: authorize, token, metadata, api, revoke, userinfo, device, discovery.
Quirks of the token endpoint, of which several can be given with commas between
(quirk=A,quirk=B):
` + quirkList() + `

The provider acme has tokens that end and are refreshed. To see that happen, give
them a short life with --token-lifetime.`,
		Args: noArguments(""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := logging.Logger(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if d.faults, err = parseFaults(faults); err != nil {
				return err
			}
			if !slices.Contains([]vault.Binding{vault.BindingConfirm, vault.BindingLogin, vault.BindingLink}, d.binding) {
				return fmt.Errorf("--binding %q: write confirm, login or link", d.binding)
			}
			return d.run(cmd.Context(), log, func(secret.String) { d.explain(cmd.OutOrStdout()) })
		},
	}
	cmd.Flags().StringVar(&d.dir, "dir", ".tokenvault", "the `folder` for keys, configuration and data")
	cmd.Flags().StringVar(&d.grpc, "grpc", "127.0.0.1:9090", "the vault's gRPC `address`")
	cmd.Flags().StringVar(&d.http, "http", "127.0.0.1:8080", "the vault's `address` for browsers")
	cmd.Flags().StringVar(&d.sandbox, "sandbox", usualSandbox, "the made-up provider's `address`")
	cmd.Flags().StringVar((*string)(&d.binding), "binding", string(vault.BindingLink), "how the vault knows who comes back: confirm, login or link")
	cmd.Flags().StringArrayVar(&faults, "fault", nil, "a `fault` of the made-up provider; may be given several times")
	cmd.Flags().DurationVar(&d.tokenLifetime, "token-lifetime", time.Hour, "how long acme's access tokens live, in whole seconds")
	cmd.Flags().DurationVar(&d.reuseGrace, "reuse-grace", 0, "how long acme's refresh tokens may be used again, as after a lost answer;\nafter it, that revokes the connection at acme (default: not at all)")
	logging.Add(cmd.Flags(), "info")
	return cmd
}

// development is a vault with a sandbox beside it.
type development struct {
	dir                 string
	grpc, http, sandbox string        // addresses
	binding             vault.Binding // "": link
	faults              map[sandbox.Endpoint]sandbox.Fault
	tokenLifetime       time.Duration // of acme's access tokens; 0: an hour
	reuseGrace          time.Duration // of acme's refresh tokens
}

// quirkList is the names of all quirks, a few on a line.
func quirkList() string {
	lines := []string{" "}
	for _, quirk := range sandbox.Quirks() {
		if last := len(lines) - 1; len(lines[last])+len(quirk) < 78 {
			lines[last] += " " + string(quirk)
		} else {
			lines = append(lines, "  "+string(quirk))
		}
	}
	return strings.Join(lines, "\n")
}

func parseFaults(texts []string) (map[sandbox.Endpoint]sandbox.Fault, error) {
	faults := map[sandbox.Endpoint]sandbox.Fault{}
	for _, text := range texts {
		endpoint, fault, err := sandbox.ParseFault(text)
		if err != nil {
			return nil, err
		}
		faults[endpoint] = fault
	}
	return faults, nil
}

// run serves until ctx ends. ready is called once all listeners are open.
func (d development) run(ctx context.Context, log *slog.Logger, ready func(token secret.String)) error {
	harden.Process(log)
	token, clientSecret, err := d.secrets()
	if err != nil {
		return err
	}
	text, err := d.configuration(token)
	if err != nil {
		return err
	}
	path := filepath.Join(d.dir, devConfig)
	c, err := config.Parse(path, text, config.System(server.RPCs()))
	if err != nil {
		return err
	}
	// From here on the database is locked: nobody else runs on this folder.
	s, err := newStack(ctx, c, log)
	if err != nil {
		return err
	}
	sb, err := d.newSandbox(c, clientSecret)
	if err != nil {
		return joinClose(err, s)
	}
	sandboxListener, err := listenAt(ctx, setting{"--sandbox", d.sandbox})
	if err != nil {
		return joinClose(err, s)
	}
	grpcListener, httpListener, err := listen(ctx, setting{"--grpc", c.GRPCAddress}, setting{"--http", c.HTTPAddress})
	if err != nil {
		return joinClose(errors.Join(err, sandboxListener.Close()), s)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return joinClose(errors.Join(err, sandboxListener.Close(), grpcListener.Close(), httpListener.Close()), s)
	}
	ready(token)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.run(ctx, grpcListener, httpListener) })
	group.Go(func() error { return serveSandbox(ctx, sb, log, sandboxListener) })
	return group.Wait()
}

// newSandbox makes the provider that the configuration leads to.
func (d development) newSandbox(c *config.Config, clientSecret secret.String) (*sandbox.Sandbox, error) {
	return faultySandbox(sandbox.Config{
		Clients: d.clients(c, clientSecret), TokenLifetime: d.tokenLifetime, ReuseGrace: d.reuseGrace,
		StatePath: filepath.Join(d.dir, devSandboxState),
	}, d.faults)
}
