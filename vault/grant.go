package vault

import (
	"maps"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
)

// lifeOfGrant is the life that the access token had when it was issued. 0: it
// does not end.
func lifeOfGrant(g *storagev1.Grant) time.Duration {
	return lifeOf(timeOf(g.GetIssueTime()), timeOf(g.GetExpireTime()))
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
