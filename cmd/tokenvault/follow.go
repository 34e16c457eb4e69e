package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
)

// Pauses before a watcher calls again.
const (
	firstPause = 500 * time.Millisecond
	lastPause  = 10 * time.Second
)

// errSeenEnough is what a handler of changes returns to end the watch.
var errSeenEnough = errors.New("seen enough")

// follow watches connections until handle returns an error or ctx ends. When the
// vault goes away it waits and goes on after the last answer, and says so on log;
// one that was not there in the first place is an error.
// The request's resume_token is always that of the last answer.
func (f *clientFlags) follow(ctx context.Context, c tokenvaultv1.VaultServiceClient, req *tokenvaultv1.WatchConnectionsRequest, log io.Writer,
	handle func(*tokenvaultv1.WatchConnectionsResponse) error) error {
	pause := firstPause
	isAway, wasThere := false, false
	for {
		err := watchOnce(ctx, c, req, isAway, func(resp *tokenvaultv1.WatchConnectionsResponse) error {
			if isAway {
				fmt.Fprintf(log, "The vault at %s is back: going on after the last change.\n", f.addr)
			}
			isAway, wasThere, pause = false, true, firstPause
			return handle(resp)
		})
		switch {
		case errors.Is(err, errSeenEnough):
			return nil
		case status.Code(err) != codes.Unavailable || !wasThere:
			return explainWatch(err)
		case !isAway:
			isAway = true
			fmt.Fprintf(log, "The vault at %s has gone away: waiting for it.\n", f.addr)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
			pause = min(2*pause, lastPause)
		}
	}
}

// watchOnce watches until the stream ends. With wait it waits for the vault first.
func watchOnce(ctx context.Context, c tokenvaultv1.VaultServiceClient, req *tokenvaultv1.WatchConnectionsRequest, wait bool,
	handle func(*tokenvaultv1.WatchConnectionsResponse) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.WatchConnections(ctx, req, grpc.WaitForReady(wait))
	if err != nil {
		return err
	}
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return status.Error(codes.Unavailable, "the vault has ended the watch")
		}
		if err != nil {
			return err
		}
		req.ResumeToken = resp.GetResumeToken()
		if err := handle(resp); err != nil {
			return err
		}
	}
}

func explainWatch(err error) error {
	if reason := reasonOf(err); reason == "RESUME_TOKEN_EXPIRED" {
		return fmt.Errorf("the vault does not know all changes since that resume token any more (it remembers them for an hour): "+
			"run `%s` to see what is there now, and watch without --resume-token (%s)", hint("list"), reason)
	}
	return err
}
