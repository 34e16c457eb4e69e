package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/secret"
)

func newDemo() *cobra.Command {
	return &cobra.Command{
		Use:     "demo",
		GroupID: "run",
		Short:   "See the whole job done, by itself, in the terminal",
		Long: `Does the whole job once, by itself: starts a vault and a made-up Mailchimp, connects
an account as a browser would, gets credentials over gRPC, calls the made-up API with
them, lists and disconnects. Everything runs on this machine, in a temporary folder
that is removed at the end.`,
		Args: noArguments(""),
		RunE: func(cmd *cobra.Command, _ []string) error { return runDemo(cmd.Context(), cmd.OutOrStdout()) },
	}
}

// runDemo runs a development vault in a temporary folder and a person's and a
// program's part against it.
func runDemo(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "tokenvault-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	addresses, err := freeAddresses(3)
	if err != nil {
		return err
	}
	d := development{dir: dir, grpc: addresses[0], http: addresses[1], sandbox: addresses[2]}

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ready := make(chan secret.String, 1)
	stopped := make(chan error, 1)
	go func() {
		stopped <- d.run(ctx, slog.New(slog.DiscardHandler), func(token secret.String) { ready <- token })
	}()
	select {
	case token := <-ready:
		err = demonstrate(ctx, out, d, token)
	case err := <-stopped:
		return err
	}
	stop()
	if err = errors.Join(err, <-stopped); err == nil {
		fmt.Fprintln(out, "\nThat was the whole job. `make run` lets you do it yourself, in a browser.")
	}
	return err
}

// freeAddresses returns loopback addresses that nobody is using.
func freeAddresses(n int) ([]string, error) {
	var addresses []string
	for range n {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer lis.Close() // all stay open until the last is found, so that none comes twice
		addresses = append(addresses, lis.Addr().String())
	}
	return addresses, nil
}

// demonstration is the demo's program and person.
type demonstration struct {
	out    io.Writer
	step   int
	client tokenvaultv1.VaultServiceClient
}

// say announces a step.
func (d *demonstration) say(format string, args ...any) {
	d.step++
	fmt.Fprintf(d.out, "\n%d. %s\n", d.step, fmt.Sprintf(format, args...))
}

// tell shows what came of it.
func (d *demonstration) tell(format string, args ...any) {
	fmt.Fprintf(d.out, "   %s\n", fmt.Sprintf(format, args...))
}

func demonstrate(ctx context.Context, out io.Writer, dev development, token secret.String) error {
	conn, err := grpc.NewClient(dev.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token.Reveal())
	d := &demonstration{out: out, client: tokenvaultv1.NewVaultServiceClient(conn)}

	d.say("A vault is running, and a made-up Mailchimp beside it.")
	d.tell("gRPC for programs: %s. HTTP for browsers: http://%s. Mailchimp: http://%s.", dev.grpc, dev.http, dev.sandbox)
	for _, step := range []func(context.Context) error{d.connect, d.useCredentials, d.list, d.disconnect} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *demonstration) connect(ctx context.Context) error {
	d.say("A program asks the vault to connect alice's Mailchimp account (Connect).")
	resp, err := d.client.Connect(ctx, &tokenvaultv1.ConnectRequest{Subject: "alice", Provider: "mailchimp"})
	if err != nil {
		return err
	}
	d.tell("It gets a link for alice: %s", shorten(resp.GetConnectUrl()))

	d.say("Alice opens the link, is sent to Mailchimp, and allows access.")
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(req *http.Request, _ []*http.Request) error {
		d.tell("-> %s", shorten(req.URL.String()))
		return nil
	}}
	ada := sandbox.DefaultAccounts()[0]
	page, err := sandbox.Person{Client: browser}.Approve(ctx, resp.GetConnectUrl(), ada.ID)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(page.Body)
	if err := errors.Join(err, page.Body.Close()); err != nil {
		return err
	}
	if page.StatusCode != http.StatusOK || !strings.Contains(string(body), "is connected") {
		return fmt.Errorf("the browser ended at a page with status %d that does not say that the account is connected", page.StatusCode)
	}
	d.tell("The vault has checked who comes back, redeemed the code, and stored the token, encrypted.")
	return nil
}

func (d *demonstration) useCredentials(ctx context.Context) error {
	d.say("A program asks for credentials that work now (GetCredentials).")
	creds, err := d.client.GetCredentials(ctx, &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "mailchimp"})
	if err != nil {
		return err
	}
	d.tell("account: %s, data centre: %s, API: %s", creds.GetAccount().GetName(), creds.GetMetadata()["dc"], creds.GetApiBaseUrl())
	d.tell("Authorization: %s...", creds.GetHeaders()["Authorization"][:len("Bearer ")+4])

	d.say("It calls the Mailchimp API with them.")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, creds.GetApiBaseUrl()+"/ping", nil)
	if err != nil {
		return err
	}
	for name, value := range creds.GetHeaders() {
		req.Header.Set(name, value)
	}
	resp, err := new(http.Client).Do(req)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET /ping answered %d", resp.StatusCode)
	}
	d.tell("GET /ping -> %d %s", resp.StatusCode, strings.TrimSpace(string(body)))
	return nil
}

func (d *demonstration) list(ctx context.Context) error {
	d.say("An operator lists the connections (ListConnections).")
	resp, err := d.client.ListConnections(ctx, &tokenvaultv1.ListConnectionsRequest{})
	if err != nil {
		return err
	}
	for _, c := range resp.GetConnections() {
		d.tell("%s at %s: %s, %s", c.GetSubject(), c.GetProvider(), describeStatus(c.GetStatus()), describeAccount(c.GetAccount()))
	}
	return nil
}

func (d *demonstration) disconnect(ctx context.Context) error {
	d.say("Alice disconnects (Disconnect).")
	resp, err := d.client.Disconnect(ctx, &tokenvaultv1.DisconnectRequest{Subject: "alice", Provider: "mailchimp"})
	if err != nil {
		return err
	}
	d.tell("%s", describeRevocation(resp))
	return nil
}

// shorten cuts what is secret or long from an address that is shown.
func shorten(link string) string {
	base, query, found := strings.Cut(link, "?")
	if !found {
		return base
	}
	var names []string
	for _, pair := range strings.Split(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		names = append(names, name+"=...")
	}
	return base + "?" + strings.Join(names, "&")
}
