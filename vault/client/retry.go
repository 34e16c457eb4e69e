package client

import (
	"context"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// serviceConfig has gRPC try reads again for some seconds, as long as a vault takes to
// start anew. Where the vault itself says when to call again (RetryInfo), it also asks
// gRPC not to: that is for untilServed.
const serviceConfig = `{"methodConfig": [{
	"name": [
		{"service": "tokenvault.v1.VaultService", "method": "GetCredentials"},
		{"service": "tokenvault.v1.VaultService", "method": "GetConnection"},
		{"service": "tokenvault.v1.VaultService", "method": "ListConnections"}
	],
	"retryPolicy": {
		"maxAttempts": 5, "initialBackoff": "0.2s", "maxBackoff": "3s", "backoffMultiplier": 3,
		"retryableStatusCodes": ["UNAVAILABLE"]
	}
}]}`

// untilServed asks again when the vault has said (RetryInfo), twice at most, and only
// where that leaves as much time as it takes.
func untilServed(ctx context.Context, ask func() (*answer, error)) (*answer, error) {
	deadline, has := ctx.Deadline()
	if !has {
		deadline = time.Now().Add(patience)
	}
	for tries := 0; ; tries++ {
		a, err := ask()
		pause := retryAfter(err)
		if pause <= 0 || tries == 2 || time.Until(deadline) < 2*pause || wait(ctx, nil, pause) != nil {
			return a, err
		}
	}
}

// retryAfter returns when the vault wants to be called again. 0: it has not said.
func retryAfter(err error) time.Duration {
	if status.Code(err) != codes.Unavailable {
		return 0
	}
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return 0
}
