package vault

import (
	"time"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
)

// Status is the state of a connection, as people see it.
type Status int

// The states. doc.go has the diagram.
const (
	Connected Status = iota + 1
	ExpiringSoon
	NeedsReauthorization
	// Disconnected: there is an API key and no grant.
	Disconnected
)

// soon is how long before its end a connection counts as expiring soon.
const soon = 7 * 24 * time.Hour

// endOf is when a grant stops working unless a person acts. Zero: not known to.
func endOf(g *storagev1.Grant) time.Time {
	switch {
	case !isRefreshable(g):
		return timeOf(g.GetExpireTime())
	case endsForGood(g):
		return timeOf(g.GetRefreshExpireTime())
	}
	return time.Time{}
}

func statusOf(c *storagev1.Connection, now time.Time) Status {
	g := c.GetGrant()
	if c.GetCandidate() != nil {
		return Connected // the person has done their part
	}
	if c.GetReauthorizationRequired() {
		return NeedsReauthorization
	}
	if g == nil {
		return Disconnected
	}
	if isRefreshable(g) {
		if left := g.GetRefreshExpireTime().AsTime().Sub(now); endsForGood(g) && left < soon {
			return ExpiringSoon
		}
		return Connected
	}
	if g.GetExpireTime() == nil {
		return Connected
	}
	switch left := g.GetExpireTime().AsTime().Sub(now); {
	case left <= 0:
		return NeedsReauthorization
	case left < soon:
		return ExpiringSoon
	default:
		return Connected
	}
}
