package vault

import (
	"context"
	"math/rand/v2"
	"time"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Tokens are refreshed ahead of their end at this part of their life, give or
// take spread: those issued together do not end together.
const (
	refreshAt = 0.8
	spread    = 0.05
)

// leastRefreshPause is the least time between two refreshes ahead of need, however
// short-lived the tokens are.
const leastRefreshPause = 30 * time.Second

// refreshTime returns when a grant is to be refreshed ahead of need: before its
// access token ends, before its refresh token ends, and before the provider
// takes the refresh token for abandoned. Zero: never.
func refreshTime(g *storagev1.Grant, idleLimit time.Duration) time.Time {
	issued := timeOf(g.GetIssueTime())
	refreshLife := lifeOf(issued, timeOf(g.GetRefreshExpireTime()))
	if g.GetRefreshExpireFixed() {
		refreshLife = 0 // refreshing does not put that end off
	}
	var life time.Duration
	for _, limit := range []time.Duration{lifeOf(issued, timeOf(g.GetExpireTime())), refreshLife, idleLimit} {
		if limit > 0 && (life == 0 || limit < life) {
			life = limit
		}
	}
	if life == 0 {
		return time.Time{}
	}
	part := refreshAt + spread*(2*rand.Float64()-1)
	return issued.Add(max(time.Duration(part*float64(life)), leastRefreshPause))
}

// lifeOf returns how long something lives that was issued and ends then. 0: it
// does not end.
func lifeOf(issued, end time.Time) time.Duration {
	if end.IsZero() {
		return 0
	}
	return end.Sub(issued)
}

// retryAfter is the pause that callers are asked to make, and the first one that
// the background makes.
const retryAfter = 5 * time.Second

// maxRetryAfter is the longest pause between two attempts of the background.
const maxRetryAfter = time.Hour

// backoff returns the pause after so many failed attempts: doubling, bounded,
// and spread by a fifth so that those who failed together do not return together.
func backoff(attempts int32) time.Duration {
	pause := maxRetryAfter
	if attempts < 10 {
		pause = min(retryAfter<<attempts, maxRetryAfter)
	}
	return pause*9/10 + rand.N(pause/5)
}

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
