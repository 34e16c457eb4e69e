package playbook

import (
	"time"

	"github.com/tokenvault/tokenvault/vault/sandbox"
)

// manners are what a definition has no word for, because the vault has to cope
// with all of it without being told.
type manners struct {
	endless   bool // access tokens do not end
	noRefresh bool // there are no refresh tokens
	tokenType string
	lifetime  time.Duration
	quirks    []sandbox.Quirk
}

func (m manners) teach(c *sandbox.Script) {
	c.Endless, c.NoRefresh, c.TokenType = m.endless, m.noRefresh, m.tokenType
	if m.lifetime != 0 {
		c.TokenLifetime = m.lifetime
	}
	c.Quirks = append(c.Quirks, m.quirks...)
}

// allManners is the table. A provider that is not in it is played by the book (RFC
// 6749), and as harshly as the book allows: tokens live an hour, and refresh tokens
// work once. Each row is from the documentation that the catalogue's entry names.
func allManners() map[string]manners {
	keeps := sandbox.RefreshTokenLeftOut
	const sixtyDays = 60 * 24 * time.Hour
	return map[string]manners{
		// {"access_token": …, "expires_in": 0, "scope": null}
		"mailchimp": {endless: true, noRefresh: true, quirks: []sandbox.Quirk{sandbox.ScopeNull, sandbox.TokenTypeMissing}},

		// access_token=…&scope=repo%2Cgist&token_type=bearer; refusals have status 200.
		"github": {endless: true, noRefresh: true, quirks: []sandbox.Quirk{
			sandbox.ErrorWith200, sandbox.FormEncoded, sandbox.ScopeCommas, sandbox.TokenTypeLower, sandbox.ExpiresInMissing,
		}},
		// "ok": true, "token_type": "bot"; refusals have status 200.
		"slack": {endless: true, noRefresh: true, tokenType: "bot", quirks: []sandbox.Quirk{sandbox.ErrorOKFalse, sandbox.ExpiresInMissing}},

		// Refresh tokens stay: a refresh brings none.
		"apple":         {quirks: []sandbox.Quirk{keeps, sandbox.ScopeMissing}},
		"dropbox":       {quirks: []sandbox.Quirk{keeps, sandbox.TokenTypeLower}},
		"ebay":          {quirks: []sandbox.Quirk{keeps}},
		"google":        {quirks: []sandbox.Quirk{keeps}},
		"kakao":         {quirks: []sandbox.Quirk{keeps, sandbox.TokenTypeLower}},
		"odnoklassniki": {tokenType: "session", quirks: []sandbox.Quirk{keeps, sandbox.ScopeMissing}},
		"salesforce":    {lifetime: 2 * time.Hour, quirks: []sandbox.Quirk{keeps, sandbox.ExpiresInMissing}},
		"spotify":       {quirks: []sandbox.Quirk{keeps}},

		// Access tokens do not end.
		"clickup":       {endless: true, noRefresh: true, quirks: []sandbox.Quirk{sandbox.ExpiresInMissing, sandbox.ScopeMissing}},
		"eventbrite":    {endless: true, noRefresh: true, quirks: []sandbox.Quirk{sandbox.ExpiresInMissing, sandbox.TokenTypeLower, sandbox.ScopeMissing}},
		"intercom":      {endless: true, noRefresh: true, quirks: []sandbox.Quirk{sandbox.ExpiresInMissing, sandbox.ScopeMissing}},
		"openstreetmap": {endless: true, noRefresh: true, quirks: []sandbox.Quirk{sandbox.ExpiresInMissing}},
		"surveymonkey":  {endless: true, noRefresh: true, quirks: []sandbox.Quirk{sandbox.ExpiresInNull, sandbox.TokenTypeLower}},
		"webflow":       {endless: true, noRefresh: true, quirks: []sandbox.Quirk{sandbox.ExpiresInMissing}},

		// Access tokens end, and nothing refreshes them.
		"facebook":  {noRefresh: true, lifetime: sixtyDays, quirks: []sandbox.Quirk{sandbox.TokenTypeLower, sandbox.ScopeMissing}},
		"instagram": {noRefresh: true, lifetime: sixtyDays, quirks: []sandbox.Quirk{sandbox.ScopeMissing}},
		"linkedin":  {noRefresh: true, lifetime: sixtyDays, quirks: []sandbox.Quirk{sandbox.ScopeCommas, sandbox.TokenTypeMissing}},

		// Members that are written in ways of their own.
		"naver":  {quirks: []sandbox.Quirk{sandbox.ExpiresInText, sandbox.TokenTypeLower, sandbox.ScopeMissing}},
		"notion": {quirks: []sandbox.Quirk{sandbox.TokenTypeLower, sandbox.ScopeMissing}},
		"stripe": {quirks: []sandbox.Quirk{sandbox.TokenTypeLower}},
		"twitch": {quirks: []sandbox.Quirk{sandbox.ScopeList, sandbox.TokenTypeLower}},
	}
}
