package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/spf13/cobra"

	"github.com/tokenvault/tokenvault/vault/client/mcpauth"
)

// stdioPatience is how long calls under way may go on after the client has gone.
const stdioPatience = 2 * time.Second

// runStdio serves one person over standard input and output until the client goes.
func (o *options) runStdio(cmd *cobra.Command, log *slog.Logger) error {
	if o.vault.usesVault() && o.vault.subject == "" {
		return errors.New("nobody is named whose account it is: set --subject or TOKENVAULT_SUBJECT to the name that the vault has for the person who runs this MCP client")
	}
	config, end, err := openBackend(cmd.Context(), &o.vault, people{subject: mcpauth.Fixed(o.vault.subject), onThisMachine: true}, log)
	if err != nil {
		return err
	}
	config.AllowWrites = o.allowWrites
	if config.Auth != nil { // calls that wait for the person end at once
		defer context.AfterFunc(cmd.Context(), func() { _ = config.Auth.Close() })()
	}
	if isTerminal(os.Stdin) {
		log.Info("waiting for an MCP client on standard input; `mailchimp-mcp config` prints what to configure one with")
	}
	err = serveStdio(cmd.Context(), newMCPServer(config, log))
	return errors.Join(err, end())
}

// serveStdio serves until standard input or ctx ends.
func serveStdio(ctx context.Context, server *mcp.Server) error {
	in := &endingReader{Reader: os.Stdin, ended: make(chan struct{})}
	session, err := server.Connect(ctx, &mcp.IOTransport{Reader: in, Writer: keepOpen{os.Stdout}}, nil)
	if err != nil {
		return err
	}
	closed := make(chan error, 1)
	go func() { closed <- session.Wait() }()
	select {
	case err := <-closed:
		return in.unlessLeft(ctx, err)
	case <-ctx.Done():
		go func() { _ = session.Close() }() // waits for calls under way, and may wait for input
	case <-in.ended:
	}
	select {
	case err := <-closed:
		return in.unlessLeft(ctx, err)
	case <-time.After(stdioPatience):
		return nil // the process ends, and with it what is still under way
	}
}

// endingReader tells when there is no more input.
type endingReader struct {
	io.Reader
	ended chan struct{}
}

// Read implements io.Reader. One goroutine reads.
func (r *endingReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if err != nil && !isClosed(r.ended) {
		close(r.ended)
	}
	return n, err
}

// codeClosing is the SDK's for what cannot be sent any more (jsonrpc2.ErrServerClosing).
const codeClosing = -32004

// unlessLeft returns an error, unless there is one because the client has left or ctx has
// ended: calls that waited have nobody to answer then.
func (r *endingReader) unlessLeft(ctx context.Context, err error) error {
	closing, ok := errors.AsType[*jsonrpc.Error](err)
	if ok && closing.Code == codeClosing && (isClosed(r.ended) || ctx.Err() != nil) {
		return nil
	}
	return err
}

// Close implements io.Closer. A read of standard input cannot be ended.
func (r *endingReader) Close() error { return nil }

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// keepOpen is an output that is not the transport's to close.
type keepOpen struct{ io.Writer }

// Close implements io.Closer.
func (keepOpen) Close() error { return nil }

// isTerminal reports whether a person types there.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
