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
	ctx = context.WithValue(ctx, hangupKey{}, func() <-chan os.Signal {
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGHUP)
		return c
	})
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

type hangupKey struct{}

// hangups delivers SIGHUP from now on: a file that a running command writes was
// moved away. For commands that do not ask, a hangup is what it always is. It is nil
// where nobody sends it.
func hangups(ctx context.Context) <-chan os.Signal {
	if subscribe, ok := ctx.Value(hangupKey{}).(func() <-chan os.Signal); ok {
		return subscribe()
	}
	return nil
}
