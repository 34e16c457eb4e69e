package marketing

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	maxTries = 4
	// patience is how long a call goes on to begin other tries. One try of [tryTimeout]
	// more still ends before the minute that MCP clients usually give a call.
	patience   = 20 * time.Second
	tryTimeout = 30 * time.Second
	// firstPause is about how long the first pause is; each one after is twice as long.
	firstPause = 500 * time.Millisecond
)

// isTransient reports whether it makes sense to send a request again. A request that
// changes something is sent again only where Mailchimp has not looked at it.
func isTransient(method string, err error) bool {
	if e, ok := errors.AsType[*Error](err); ok {
		switch {
		case e.Status == http.StatusTooManyRequests, e.Status == http.StatusForbidden && !e.isProblem:
			return true
		case e.Status >= 500 && e.Status != statusCompliance:
			return method == http.MethodGet
		}
		return false
	}
	return method == http.MethodGet && (isBroken(err) || errors.Is(err, syscall.ECONNREFUSED))
}

// isBroken reports whether a connection has ended while it was in use.
func isBroken(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// pauseAfter is how long to wait after a try has failed: what Mailchimp has said, or
// twice as long each time, with as much chance in it as that those who failed together
// do not come back together.
func pauseAfter(try int, err error) time.Duration {
	pause := firstPause << try
	pause = pause/2 + rand.N(pause)
	if e, ok := errors.AsType[*Error](err); ok && e.RetryAfter > 0 {
		return e.RetryAfter + rand.N(firstPause)
	}
	return pause
}

// canWait reports whether there is time for a pause, and for a try after it.
func canWait(ctx context.Context, began time.Time, pause time.Duration) bool {
	now := time.Now()
	if now.Add(pause).Sub(began) > patience {
		return false
	}
	deadline, has := ctx.Deadline()
	return !has || now.Add(pause).Before(deadline)
}

func wait(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// maxRetryAfter bounds what is believed of a Retry-After.
const maxRetryAfter = time.Hour

// retryAfter reads the header Retry-After (RFC 9110, section 10.2.3). 0: there is none.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return max(0, min(at.Sub(now), maxRetryAfter))
}
