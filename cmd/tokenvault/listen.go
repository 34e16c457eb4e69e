package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// setting is a value and what sets it, for messages: a key of the configuration,
// or a flag.
type setting struct{ name, value string }

// listen opens the vault's two listeners, the one for gRPC first.
func listen(ctx context.Context, forGRPC, forHTTP setting) (grpcListener, httpListener net.Listener, err error) {
	if grpcListener, err = listenAt(ctx, forGRPC); err != nil {
		return nil, nil, err
	}
	if httpListener, err = listenAt(ctx, forHTTP); err != nil {
		return nil, nil, errors.Join(err, grpcListener.Close())
	}
	return grpcListener, httpListener, nil
}

func listenAt(ctx context.Context, at setting) (net.Listener, error) {
	var lc net.ListenConfig
	lis, err := lc.Listen(ctx, "tcp", at.value)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s: the address %s is in use: stop what is using it, or choose another with %s", at.name, at.value, at.name)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s: this user may not listen on %s: choose another address with %s, such as one with a port above 1023", at.name, at.value, at.name)
	case err != nil:
		return nil, fmt.Errorf("%s: %w: choose another address with %s", at.name, err, at.name)
	}
	return lis, nil
}
