package vault

import (
	"maps"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
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

// lifeOfGrant is the life that the access token had when it was issued. 0: it
// does not end.
func lifeOfGrant(g *storagev1.Grant) time.Duration {
	return lifeOf(timeOf(g.GetIssueTime()), timeOf(g.GetExpireTime()))
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
	// Disconnected: there is an API key and no grant.
	Disconnected
)

// soon is how long before its end a connection counts as expiring soon.
const soon = 7 * 24 * time.Hour

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

// isRefreshable reports whether new tokens can be had without the person.
func isRefreshable(g *storagev1.Grant) bool {
	return g.GetRefreshToken() != "" || g.GetType() == storagev1.Grant_TYPE_CLIENT_CREDENTIALS
}

// endsForGood reports whether the refresh token has an end that refreshing does
// not put off. Whether it does shows with the first refresh; until then, a refresh
// token that lives longer than soon is taken at its word.
func endsForGood(g *storagev1.Grant) bool {
	if g.GetRefreshExpireTime() == nil {
		return false
	}
	return g.GetRefreshExpireFixed() || g.GetRefreshExpireTime().AsTime().Sub(g.GetIssueTime().AsTime()) > soon
}

// grantRecord is what is stored of a token response. asked is when the request
// was sent: the token's life began at that moment at the earliest. lifetime is
// the access token's where the provider does not tell it.
func grantRecord(t provider.Token, asked time.Time, lifetime time.Duration) *storagev1.Grant {
	g := &storagev1.Grant{
		AccessToken:  t.AccessToken.Reveal(),
		TokenType:    t.TokenType,
		RefreshToken: t.RefreshToken.Reveal(),
		Scopes:       t.Scopes,
		IssueTime:    timestamppb.New(asked),
	}
	if t.Lifetime > 0 {
		lifetime = t.Lifetime
	}
	if lifetime > 0 {
		g.ExpireTime = timestamppb.New(asked.Add(lifetime))
	}
	if len(t.Captured.Metadata) > 0 {
		g.ToldMetadata = t.Captured.Metadata
	}
	if a := t.Captured.Account; a != (provider.Account{}) {
		g.ToldAccount = &storagev1.Account{Id: a.ID, Name: a.Name, Email: a.Email}
	}
	if t.RefreshLifetime > 0 {
		g.RefreshExpireTime = timestamppb.New(asked.Add(t.RefreshLifetime))
	}
	return g
}

// refreshedGrant is the grant after a refresh: what the response leaves out is
// as it was (RFC 6749, sections 5.1 and 6).
func refreshedGrant(old *storagev1.Grant, t provider.Token, asked time.Time, lifetime time.Duration) *storagev1.Grant {
	g := grantRecord(t, asked, lifetime)
	g.Rotation = storagev1.Grant_ROTATION_ROTATED
	if lostRefreshToken(old, t) {
		g.Rotation = old.GetRotation()
	} else if g.RefreshToken == "" || g.RefreshToken == old.GetRefreshToken() {
		g.Rotation = storagev1.Grant_ROTATION_KEPT
	}
	if g.RefreshToken == "" {
		g.RefreshToken = old.GetRefreshToken()
	}
	if g.RefreshExpireTime == nil {
		g.RefreshExpireTime, g.RefreshExpireFixed = old.GetRefreshExpireTime(), old.GetRefreshExpireFixed()
	} else if end := timeOf(old.GetRefreshExpireTime()); !end.IsZero() {
		g.RefreshExpireFixed = !g.GetRefreshExpireTime().AsTime().After(end.Add(time.Minute))
	}
	if t.Scopes == nil {
		g.Scopes = old.GetScopes()
	}
	g.Params, g.Type = old.GetParams(), old.GetType()
	toldBefore := maps.Clone(old.GetToldMetadata())
	if toldBefore == nil {
		toldBefore = map[string]string{}
	}
	maps.Copy(toldBefore, g.GetToldMetadata())
	g.ToldMetadata = toldBefore
	if g.ToldAccount == nil {
		g.ToldAccount = old.GetToldAccount()
	}
	return g
}

// lostRefreshToken reports whether the answer to a refresh broke off before a
// refresh token that may have been in it. (x/oauth2 fills in the old one.)
func lostRefreshToken(old *storagev1.Grant, t provider.Token) bool {
	return t.Partial && (t.RefreshToken.IsZero() || t.RefreshToken.Reveal() == old.GetRefreshToken())
}
