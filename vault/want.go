package vault

import (
	"time"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
)

// defaultMinTTL is how long a token must still work when it is handed out and the
// caller has not said.
const defaultMinTTL = 60 * time.Second

// leastTTL is the least life with which a token is handed out when the provider
// cannot be asked for a new one.
const leastTTL = 10 * time.Second

// want is what somebody wants of a connection. The zero value is a caller's who
// has not said.
type want struct {
	// minTTL is the life that the token must have left. 0: defaultMinTTL.
	minTTL time.Duration
	// newer asks for tokens of a later generation than this one, whatever life
	// those at hand have left. 0: any will do.
	newer int64
	// ahead also wants done what is due ahead of need.
	ahead bool
}

// action is what is to be done about a connection.
type action int

const (
	// serve: the grant's access token will do.
	serve action = iota
	// renew: the grant has to be refreshed, or the candidate put into service.
	renew
	// reauthorize: only the person can help.
	reauthorize
)

// assess decides what is to be done about a connection.
func (w want) assess(c *storagev1.Connection, now time.Time) action {
	dead := reauthorize
	if c.GetCandidate() != nil {
		dead = renew
	}
	g := c.GetGrant()
	if g == nil || c.GetReauthorizationRequired() {
		return dead
	}
	refreshable := isRefreshable(g)
	if refreshable && (w.newer > 0 && c.GetGeneration() <= w.newer || w.ahead && isDue(c, now)) {
		return renew
	}
	if g.GetExpireTime() == nil {
		return serve
	}
	left := g.GetExpireTime().AsTime().Sub(now)
	switch {
	case left >= w.enough(lifeOfGrant(g)):
		return serve
	case refreshable:
		return renew
	case left > 0:
		return serve // there is none better to be had
	default:
		return dead
	}
}

func isDue(c *storagev1.Connection, now time.Time) bool {
	return c.GetDueTime() != nil && !c.GetDueTime().AsTime().After(now)
}

// enough returns the life below which a token of that whole life is refreshed. It
// is less than the whole, whatever was asked for: else a provider of short-lived
// tokens would be asked at every read.
func (w want) enough(life time.Duration) time.Duration {
	if w.minTTL > 0 {
		return min(w.minTTL, life*9/10)
	}
	return min(defaultMinTTL, life/2)
}

// stillWorks reports whether the grant can be handed out although it could not
// be renewed.
func stillWorks(c *storagev1.Connection, now time.Time) bool {
	g := c.GetGrant()
	if g == nil || c.GetReauthorizationRequired() {
		return false
	}
	return g.GetExpireTime() == nil || g.GetExpireTime().AsTime().Sub(now) >= leastTTL
}
