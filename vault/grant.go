package vault

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
)

// minTTL is how long a token must still work when it is handed out. A token is
// refreshed when it has less left than this, or than half of its life where that
// is shorter: else a provider of very short tokens would be asked at every read.
const minTTL = 60 * time.Second

// leastTTL is the least life with which a token is handed out when the provider
// cannot be asked for a new one.
const leastTTL = 10 * time.Second

// action is what a reader of a connection has to do.
type action int

const (
	// serve: the grant's access token works.
	serve action = iota
	// renew: the grant has to be refreshed, or the candidate put into service.
	renew
	// reauthorize: only the person can help.
	reauthorize
)

// assess decides what a reader of the connection has to do.
func assess(c *storagev1.Connection, now time.Time) action {
	dead := reauthorize
	if c.GetCandidate() != nil {
		dead = renew
	}
	g := c.GetGrant()
	if g == nil || c.GetReauthorizationRequired() {
		return dead
	}
	if g.GetExpireTime() == nil {
		return serve
	}
	left := g.GetExpireTime().AsTime().Sub(now)
	switch {
	case left >= enough(g):
		return serve
	case g.GetRefreshToken() != "":
		return renew
	case left > 0:
		return serve // there is none better to be had
	default:
		return dead
	}
}

func enough(g *storagev1.Grant) time.Duration {
	life := g.GetExpireTime().AsTime().Sub(g.GetIssueTime().AsTime())
	return min(minTTL, life/2)
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

// Status is the state of a connection, as people see it.
type Status int

// The states. doc.go has the diagram.
const (
	Connected Status = iota + 1
	ExpiringSoon
	NeedsReauthorization
)

// soon is how long before its end a connection counts as expiring soon.
const soon = 7 * 24 * time.Hour

func statusOf(c *storagev1.Connection, now time.Time) Status {
	g := c.GetGrant()
	if c.GetReauthorizationRequired() && c.GetCandidate() == nil {
		return NeedsReauthorization
	}
	if g.GetExpireTime() == nil || g.GetRefreshToken() != "" {
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

// grantRecord is what is stored of a token response. asked is when the request
// was sent: the token's life began at that moment at the earliest.
func grantRecord(t provider.Token, asked time.Time) *storagev1.Grant {
	g := &storagev1.Grant{
		AccessToken:  t.AccessToken.Reveal(),
		TokenType:    t.TokenType,
		RefreshToken: t.RefreshToken.Reveal(),
		Scopes:       t.Scopes,
		IssueTime:    timestamppb.New(asked),
	}
	if t.Lifetime > 0 {
		g.ExpireTime = timestamppb.New(asked.Add(t.Lifetime))
	}
	return g
}

// refreshedGrant is the grant after a refresh: what the response leaves out is
// as it was (RFC 6749, sections 5.1 and 6).
func refreshedGrant(old *storagev1.Grant, t provider.Token, asked time.Time) *storagev1.Grant {
	g := grantRecord(t, asked)
	if g.RefreshToken == "" {
		g.RefreshToken = old.GetRefreshToken()
	}
	if t.Scopes == nil {
		g.Scopes = old.GetScopes()
	}
	return g
}
