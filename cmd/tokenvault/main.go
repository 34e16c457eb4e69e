// Command tokenvault is the vault, its development helpers and its operators'
// commands in one binary. `tokenvault help` lists them.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	ctx = context.WithValue(ctx, hangupKey{}, (<-chan os.Signal)(hangups))
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

type hangupKey struct{}

// hangups delivers SIGHUP: a file that a running command writes was moved away. It
// is nil where nobody sends it.
func hangups(ctx context.Context) <-chan os.Signal {
	c, _ := ctx.Value(hangupKey{}).(<-chan os.Signal)
	return c
}
