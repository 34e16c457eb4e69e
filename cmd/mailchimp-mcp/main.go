// Command mailchimp-mcp is an MCP server for Mailchimp: over stdio for one person, over
// streamable HTTP for many. Each person's account comes from a tokenvault, or one for
// everybody from an API key. `mailchimp-mcp --help` explains.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
