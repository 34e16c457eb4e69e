package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc/status"

	"github.com/tokenvault/tokenvault/gateway"
	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
)

// Where the vault binds flows by confirmation, the person comes back to an
// application, which says who they are. With --wait this terminal is the
// application: it listens on a loopback address (RFC 8252, section 7.3), so that
// only a browser on the same machine can come back to it. The path is one that
// nobody can guess: other pages in that browser cannot bring anything here.

// begin calls Connect, and has the person come back to this terminal if the vault
// wants them to come back, and no other place is named.
func (c *connectCommand) begin(ctx context.Context, vault tokenvaultv1.VaultServiceClient) (*tokenvaultv1.ConnectResponse, error) {
	resp, err := vault.Connect(ctx, &c.req)
	if c.req.GetReturnUrl() != "" || reasonOf(err) != "INVALID_RETURN_URL" {
		return resp, err
	}
	if !c.wait {
		return nil, fmt.Errorf("this vault has the application confirm who comes back from the provider: name its page with --return-url, or run `%s` to confirm in this terminal (INVALID_RETURN_URL)", c.againWaiting)
	}
	if c.terminal, err = newTerminal(ctx, vault, c.name, c.log); err != nil {
		return nil, err
	}
	c.req.ReturnUrl = c.terminal.url()
	if resp, err = vault.Connect(ctx, &c.req); reasonOf(err) == "INVALID_RETURN_URL" {
		return nil, errors.New("this vault does not let people come back to a terminal: add \"http://127.0.0.1/*\" to return_urls in its configuration, or name a page of an application with --return-url (INVALID_RETURN_URL)")
	}
	return resp, err
}

// terminal is where the person comes back to.
type terminal struct {
	vault    tokenvaultv1.VaultServiceClient
	name     connectionName
	log      io.Writer
	listener net.Listener
	path     string
	server   *http.Server
	// failed gets the error of a confirmation that came to nothing.
	failed chan error
}

func newTerminal(ctx context.Context, vault tokenvaultv1.VaultServiceClient, name connectionName, log io.Writer) (*terminal, error) {
	lis, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the browser to come back: %w", err)
	}
	t := &terminal{vault: vault, name: name, log: log, listener: lis, path: "/" + rand.Text(), failed: make(chan error, 1)}
	t.server = gateway.NewServer(t, nil, nil)
	t.server.BaseContext = func(net.Listener) context.Context { return ctx } // with the caller token
	go func() { _ = t.server.Serve(lis) }()                                  // until close
	return t, nil
}

func (t *terminal) url() string { return "http://" + t.listener.Addr().String() + t.path }

// goodbyePatience is how long a browser may take to read its answer.
const goodbyePatience = 10 * time.Second

// close lets a browser that has come back read its answer.
func (t *terminal) close() {
	if t == nil {
		return
	}
	patience, cancel := context.WithTimeout(context.Background(), goodbyePatience) // the command's own may have ended
	defer cancel()
	if t.server.Shutdown(patience) != nil {
		_ = t.server.Close()
	}
}

// ServeHTTP takes the browser in.
func (t *terminal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet || r.URL.Path != t.path {
		http.Error(w, "There is nothing here.", http.StatusNotFound)
		return
	}
	q := r.URL.Query()
	if q.Get("confirmation") == "" {
		fmt.Fprintf(t.log, "The browser came back without access (%q). Still waiting: the link can be opened again.\n", q.Get("reason"))
		http.Error(w, "Nothing was connected. Changed your mind? Open the link again.", http.StatusForbidden)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), callPatience)
	defer cancel()
	_, err := t.vault.ConfirmConnection(ctx, &tokenvaultv1.ConfirmConnectionRequest{Confirmation: q.Get("confirmation"), Subject: t.name.subject})
	if err != nil {
		http.Error(w, status.Convert(err).Message(), http.StatusForbidden)
		select {
		case t.failed <- err:
		default: // the first is enough
		}
		return
	}
	fmt.Fprintf(w, "%v is connected. You can close this window.\n", t.name)
}

// endWait ends a wait when the link has ended, or a confirmation has come to nothing.
func (t *terminal) endWait(ctx context.Context, linkEnds time.Time, stop context.CancelCauseFunc) {
	var failed chan error
	if t != nil {
		failed = t.failed
	}
	end := time.NewTimer(time.Until(linkEnds))
	defer end.Stop()
	select {
	case <-ctx.Done():
	case <-end.C:
		stop(nil)
	case err := <-failed:
		stop(err)
	}
}
