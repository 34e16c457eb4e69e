package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/client"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// callPatience is how long a command waits for its answer: longer than a vault
// waits for a provider.
const callPatience = 90 * time.Second

// clientFlags are the flags of commands that use a running vault.
type clientFlags struct {
	addr      string
	json      bool
	transport transportFlags
}

func (f *clientFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.addr, "addr", defaultAddr(), "the vault's gRPC `host:port`; TOKENVAULT_ADDR sets it too")
	cmd.Flags().BoolVar(&f.json, "json", false, "print the answer as JSON")
	f.transport.add(cmd)
	cmd.Long += "\n\nThe caller token comes from the environment variable TOKENVAULT_TOKEN. The\nconnection has TLS, except on loopback, where it has if --ca or --cert is given, and\nwith --plaintext."
}

func defaultAddr() string {
	if addr := os.Getenv("TOKENVAULT_ADDR"); addr != "" {
		return addr
	}
	return "127.0.0.1:9090"
}

// useVault uses a running vault.
type useVault func(context.Context, tokenvaultv1.VaultServiceClient) error

// call dials the vault and makes a call or a few, soon answered.
func (f *clientFlags) call(ctx context.Context, use useVault) error {
	return f.dial(ctx, func(ctx context.Context, c tokenvaultv1.VaultServiceClient) error {
		ctx, cancel := context.WithTimeout(ctx, callPatience)
		defer cancel()
		return use(ctx, c)
	})
}

// callAbout is call for one connection, with errors that say what to do about it.
func (f *clientFlags) callAbout(ctx context.Context, n connectionName, use useVault) error {
	return f.aboutConnection(f.call(ctx, use), n)
}

// dial dials the vault, for as long as use takes.
func (f *clientFlags) dial(ctx context.Context, use useVault) error {
	return f.dialClient(ctx, func(ctx context.Context, c *client.Client) error { return use(ctx, c.Vault()) })
}

// dialClient is dial for more than one service.
func (f *clientFlags) dialClient(ctx context.Context, use func(context.Context, *client.Client) error) error {
	token, err := f.callerToken()
	if err != nil {
		return err
	}
	target, onMachine, err := dialTarget(f.addr)
	if err != nil {
		return err
	}
	config, err := f.transport.config(onMachine)
	if err != nil {
		return err
	}
	// A command does not wait for a vault that is not there: it says so.
	options := []client.Option{client.WithToken(token.Reveal()), client.WithDialOptions(grpc.WithDisableRetry())}
	if config == nil {
		options = append(options, client.WithPlaintext())
	} else {
		options = append(options, client.WithTLSConfig(func() (*tls.Config, error) { return config, nil }))
	}
	vault, err := client.New(ctx, f.addr, options...)
	if err != nil {
		return fmt.Errorf("--addr %q: %w", f.addr, err)
	}
	defer vault.Close()
	err = use(ctx, vault)
	switch {
	case reasonOf(err) == "CALLER_UNKNOWN":
		return f.unknownCaller(token)
	case reasonOf(err) == "PROVIDER_UNKNOWN":
		return f.unknownProvider(err)
	case isUnreachable(err):
		return f.diagnose(ctx, target, config, err)
	case isFromHTTP(err):
		return f.notGRPC("HTTP, but not gRPC")
	}
	return err
}

// isUnreachable reports whether an error is not the vault's own, but about the way
// to it.
func isUnreachable(err error) bool {
	return status.Code(err) == codes.Unavailable && reasonOf(err) == ""
}

// callerToken reads TOKENVAULT_TOKEN and refuses what can be no token. None is needed
// by a caller with a certificate.
func (f *clientFlags) callerToken() (secret.String, error) {
	value := os.Getenv("TOKENVAULT_TOKEN")
	switch {
	case value == "" && f.transport.cert != "":
		return secret.String{}, nil
	case value == "":
		return secret.String{}, errors.New("TOKENVAULT_TOKEN is not set: export the caller token that `tokenvault token generate` printed; " +
			"for a vault of `tokenvault dev`, export TOKENVAULT_TOKEN=$(cat .tokenvault/caller.token)")
	case len(value) >= len("Bearer ") && strings.EqualFold(value[:len("Bearer ")], "Bearer "):
		return secret.String{}, errors.New("TOKENVAULT_TOKEN begins with \"Bearer \": set it to the token alone")
	case strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }):
		return secret.String{}, errors.New("TOKENVAULT_TOKEN holds white space or other characters that no token has: set it to the token alone")
	}
	return secret.New(value), nil
}

var sha256Hex = regexp.MustCompile(`\A[0-9A-Fa-f]{64}\z`)

func (f *clientFlags) unknownCaller(token secret.String) error {
	if token.IsZero() {
		return fmt.Errorf("the vault at %s knows no caller by the certificate in %s: its configuration must name its SPIFFE ID (spiffe_id), or where it has no URI SAN a DNS name (dns_name), and the certificate's authority in tls.client_ca_file; or set TOKENVAULT_TOKEN (CALLER_UNKNOWN)", f.addr, f.transport.cert)
	}
	text := fmt.Sprintf("the vault at %s does not know the token in TOKENVAULT_TOKEN", f.addr)
	if sha256Hex.MatchString(token.Reveal()) {
		return fmt.Errorf("%s, which looks like a token_sha256: set it to the token that was printed with it (CALLER_UNKNOWN)", text)
	}
	if strings.Count(token.Reveal(), ".") == 2 {
		return fmt.Errorf("%s, which looks like a JWT: its issuer, audience and subject must be those of a caller's jwt in the vault's configuration, and it must not have ended; the vault's log says which (CALLER_UNKNOWN)", text)
	}
	return fmt.Errorf("%s: its hash must be the token_sha256 of one of the callers in the vault's configuration (CALLER_UNKNOWN)", text)
}

// unknownProvider names the command that lists the providers there are.
func (f *clientFlags) unknownProvider(cause error) error {
	text, _, _ := strings.Cut(strings.TrimPrefix(status.Convert(cause).Message(), "provider: "), ";")
	return fmt.Errorf("provider %s: see `%s` (%s)", text, f.hintAt("provider", "list"), reasonOf(cause))
}

// reasonOf returns the reason that the vault has given, or "".
func reasonOf(err error) string { return infoOf(err).GetReason() }

// infoOf returns what the vault says for programs; nil where it says nothing.
func infoOf(err error) *errdetails.ErrorInfo {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info
		}
	}
	return nil
}

// aboutConnection adds to an error what to run next.
func (f *clientFlags) aboutConnection(err error, n connectionName) error {
	switch reason := reasonOf(err); reason {
	case "NOT_CONNECTED":
		return fmt.Errorf("%v is not connected: run `%s` (%s)", n, f.hint("connect", n), reason)
	case "REAUTHORIZATION_REQUIRED":
		return fmt.Errorf("%s Run `%s` (%s)", whatHappened(err), f.hint("connect", n), reason)
	}
	return err
}

// whatHappened is what the vault says without the call that it advises, in place of
// which there is a command.
func whatHappened(err error) string {
	text, _, _ := strings.Cut(status.Convert(err).Message(), " Call Connect")
	return text
}

// printJSON prints a message as standard protobuf JSON.
func printJSON(w io.Writer, m proto.Message) error {
	out, err := protojson.MarshalOptions{Multiline: true, EmitDefaultValues: true}.Marshal(m)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, strings.TrimSpace(string(out)))
	return err
}
