package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tokenvault/tokenvault/cmd/internal/cli"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/httpserve"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/sandbox"
)

func newSandbox() *cobra.Command {
	s := sandboxServer{}
	var logging cli.LogFlags
	var faults []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:        "sandbox",
		GroupID:    "run",
		SuggestFor: []string{"simulator", "mock"},
		Short:      "Run made-up providers alone, to test an integration of your own",
		Long: `Runs made-up providers without a vault, for people who test an integration of their
own: one that does as the standards say, with discovery, PKCE, refresh tokens that
rotate, and sign-in (OpenID Connect) without passwords; and a Mailchimp. With --provider
it plays others of the catalogue instead, as the catalogue describes them. They know one
client, and are strict: what a real provider might let pass, they refuse. Nothing is kept
when they stop.

The Mailchimp has a Marketing API with made-up audiences, members, segments, campaigns
and reports, to read and to change. It takes the tokens that it has issued, and the
API key that is printed, which is always the same.

They can misbehave: ` + "`tokenvault dev --help`" + ` explains --fault.`,
		Example: "  tokenvault sandbox --redirect-uri http://127.0.0.1:3000/callback --fault token:status=503,times=3\n" +
			"  tokenvault sandbox --provider hubspot",
		Args: noArguments("--listen"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := logging.Logger(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if s.faults, err = parseFaults(faults); err != nil {
				return err
			}
			return s.run(cmd.Context(), log, func(d sandboxDescription) error {
				if asJSON {
					return printIndented(cmd.OutOrStdout(), d)
				}
				return d.print(cmd.OutOrStdout())
			})
		},
	}
	cmd.Flags().StringArrayVar(&s.providers, "provider", nil, "a `template` of the catalogue to play; may be given several times (default: the two built-in ones)")
	cmd.Flags().StringVar(&s.listen, "listen", "127.0.0.1:9095", "the `address` to listen on")
	cmd.Flags().StringArrayVar(&s.redirectURIs, "redirect-uri", nil, "a redirect `URI` of the client; may be given several times (default: those of a vault at 127.0.0.1:8080)")
	cmd.Flags().StringVar(&s.clientID, "client-id", "sandbox-client", "the client's `id`")
	cmd.Flags().StringVar(&s.clientSecret, "client-secret", "", "the client's `secret` (default: one is made, and printed)")
	cmd.Flags().StringVar(&s.clientAuth, "client-auth", "post", "how the client authenticates: post, basic or none (with --provider, as the template says)")
	cmd.Flags().StringArrayVar(&faults, "fault", nil, "a `fault` of the providers; may be given several times")
	cmd.Flags().DurationVar(&s.tokenLifetime, "token-lifetime", time.Hour, "how long the standard provider's access tokens live, in whole seconds")
	cmd.Flags().DurationVar(&s.reuseGrace, "reuse-grace", 0, "how long its refresh tokens may be used again (default: not at all)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the endpoints as JSON")
	logging.Add(cmd.Flags(), "info")
	return cmd
}

// sandboxServer is made-up providers with a client of theirs.
type sandboxServer struct {
	providers                          []string // of the catalogue
	listen                             string
	redirectURIs                       []string
	clientID, clientSecret, clientAuth string
	faults                             map[sandbox.Endpoint]sandbox.Fault
	tokenLifetime, reuseGrace          time.Duration
}

// run serves until ctx ends. ready is called once the listener is open.
func (s sandboxServer) run(ctx context.Context, log *slog.Logger, ready func(sandboxDescription) error) error {
	if err := s.complete(); err != nil {
		return err
	}
	lis, err := listenAt(ctx, setting{"--listen", s.listen})
	if err != nil {
		return err
	}
	sb, d, err := s.open(lis.Addr())
	if err == nil {
		err = ready(d)
	}
	if err != nil {
		return errors.Join(err, lis.Close())
	}
	return serveSandbox(ctx, sb, log, lis)
}

// open makes the sandbox that is at an address.
func (s sandboxServer) open(addr net.Addr) (*sandbox.Sandbox, sandboxDescription, error) {
	base := "http://" + reachable(addr)
	client := sandbox.Client{ID: s.clientID, Secret: s.clientSecret, RedirectURIs: s.redirectURIs, Auth: sandbox.Auth(s.clientAuth)}
	c := sandbox.Config{Clients: []sandbox.Client{client}, TokenLifetime: s.tokenLifetime, ReuseGrace: s.reuseGrace}
	d := sandboxDescription{ClientID: s.clientID, ClientSecret: s.clientSecret, RedirectURIs: s.redirectURIs}
	if len(s.providers) == 0 {
		d.Providers = builtIn(base, s.clientAuth)
	}
	templates, err := provider.Templates()
	if err != nil {
		return nil, d, err
	}
	for _, name := range s.providers {
		part, played, err := play(name, templates[name], base, client)
		if err != nil {
			return nil, d, err
		}
		c.Scripts, d.Providers = append(c.Scripts, part.Script), append(d.Providers, played)
	}
	if !slices.ContainsFunc(d.Providers, playedProvider.hasClients) {
		d.ClientID, d.ClientSecret, d.RedirectURIs = "", "", nil
	}
	d.Configuration = d.configuration()
	sb, err := faultySandbox(c, s.faults)
	return sb, d, err
}

// faultySandbox makes a sandbox that misbehaves as it was asked to.
func faultySandbox(c sandbox.Config, faults map[sandbox.Endpoint]sandbox.Fault) (*sandbox.Sandbox, error) {
	sb, err := sandbox.New(c)
	if err != nil {
		return nil, err
	}
	for endpoint, fault := range faults {
		sb.Fault(endpoint, fault)
	}
	return sb, nil
}

// serveSandbox serves until ctx ends.
func serveSandbox(ctx context.Context, sb *sandbox.Sandbox, log *slog.Logger, lis net.Listener) error {
	return httpserve.Serve(ctx, &http.Server{Handler: sb, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}, lis)
}

// complete checks what is asked for, and makes what the client lacks.
func (s *sandboxServer) complete() error {
	if err := checkPlayable(s.providers); err != nil {
		return err
	}
	switch sandbox.Auth(s.clientAuth) {
	case sandbox.AuthPost, sandbox.AuthBasic:
		if s.clientSecret == "" {
			s.clientSecret = "sandbox-" + rand.Text()
		}
	case sandbox.AuthNone:
		if s.clientSecret != "" {
			return errors.New("--client-secret: leave it out with --client-auth none")
		}
	default:
		return fmt.Errorf("--client-auth %q: write post, basic or none", s.clientAuth)
	}
	if len(s.redirectURIs) == 0 {
		names := s.providers
		if len(names) == 0 {
			names = []string{standardName, "mailchimp"}
		}
		for _, name := range names {
			s.redirectURIs = append(s.redirectURIs, vault.RedirectURL("http://127.0.0.1:8080", name))
		}
	}
	for _, uri := range s.redirectURIs {
		if u, err := url.Parse(uri); err != nil || u.Scheme == "" || u.Host == "" || u.Fragment != "" {
			return fmt.Errorf("--redirect-uri %q is not a redirect URI: write a URL without a fragment, such as http://127.0.0.1:3000/callback", uri)
		}
	}
	return nil
}

// reachable is an address that clients on this machine can use.
func reachable(addr net.Addr) string {
	at, err := netip.ParseAddrPort(addr.String())
	if err == nil && at.Addr().IsUnspecified() {
		return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), at.Port()).String()
	}
	return addr.String()
}
