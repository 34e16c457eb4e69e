package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// callPatience is how long a command waits for its answer: longer than a vault
// waits for a provider.
const callPatience = 90 * time.Second

// clientFlags are the flags of commands that use a running vault.
type clientFlags struct {
	addr string
	json bool
}

func (f *clientFlags) add(cmd *cobra.Command) {
	addr := os.Getenv("TOKENVAULT_ADDR")
	if addr == "" {
		addr = "127.0.0.1:9090"
	}
	cmd.Flags().StringVar(&f.addr, "addr", addr, "the vault's gRPC `host:port`; TOKENVAULT_ADDR sets it too")
	cmd.Flags().BoolVar(&f.json, "json", false, "print the answer as JSON")
	cmd.Long += "\n\nThe caller token comes from the environment variable TOKENVAULT_TOKEN. The\nconnection has TLS, but for loopback addresses."
}

// call dials the vault and makes one call with the caller token.
func (f *clientFlags) call(ctx context.Context, use func(context.Context, tokenvaultv1.VaultServiceClient) error) error {
	token := secret.New(os.Getenv("TOKENVAULT_TOKEN"))
	if token.IsZero() {
		return errors.New("TOKENVAULT_TOKEN is not set: export the caller token that `tokenvault token generate` printed")
	}
	transport, err := transportFor(f.addr)
	if err != nil {
		return err
	}
	conn, err := grpc.NewClient(f.addr, grpc.WithTransportCredentials(transport))
	if err != nil {
		return fmt.Errorf("--addr %q: %w", f.addr, err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token.Reveal())
	err = use(ctx, tokenvaultv1.NewVaultServiceClient(conn))
	if status.Code(err) == codes.Unavailable && !hasReason(err) {
		return fmt.Errorf("no vault answers at %s: start one with `tokenvault serve` or `tokenvault dev`, or say with --addr where it is", f.addr)
	}
	return err
}

// transportFor chooses TLS, except where the token does not leave the machine.
func transportFor(addr string) (credentials.TransportCredentials, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("--addr %q is not an address: write host:port, such as 127.0.0.1:9090", addr)
	}
	if ip, err := netip.ParseAddr(host); host == "localhost" || err == nil && ip.IsLoopback() {
		return insecure.NewCredentials(), nil
	}
	return credentials.NewTLS(nil), nil
}

func hasReason(err error) bool {
	for _, detail := range status.Convert(err).Details() {
		if _, ok := detail.(*errdetails.ErrorInfo); ok {
			return true
		}
	}
	return false
}

// explain words an error for the terminal: a status without its machinery.
func explain(err error) string {
	st, ok := status.FromError(err)
	if !ok || st.Code() == codes.Unknown {
		return err.Error()
	}
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return fmt.Sprintf("%s (%s)", st.Message(), info.GetReason())
		}
	}
	return st.Message()
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

// connectionArgs are the positional arguments of commands about one connection.
func connectionArgs(cmd *cobra.Command, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("name a subject and a provider: %s alice mailchimp", cmd.CommandPath())
	}
	return nil
}
