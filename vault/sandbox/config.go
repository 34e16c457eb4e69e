package sandbox

import (
	"crypto"
	"time"
)

// Auth is how a client authenticates at the token endpoint.
type Auth string

// The ways to authenticate.
const (
	AuthPost  Auth = "post"
	AuthBasic Auth = "basic"
	AuthNone  Auth = "none"
	// AuthPrivateKeyJWT is a JWT signed with the client's key (RFC 7523).
	AuthPrivateKeyJWT Auth = "private_key_jwt"
)

// Client is an app registered at the sandbox.
type Client struct {
	ID           string
	Secret       string
	RedirectURIs []string // compared exactly
	Auth         Auth
	// PublicKeys verify the client's assertions, with AuthPrivateKeyJWT only.
	PublicKeys []crypto.PublicKey
}

// Account is a made-up person with an account.
type Account struct {
	ID         int    // Mailchimp's user_id
	Person     string // who signs in
	Username   string // preferred_username, for those who sign in under /oauth; "": none
	Email      string
	Name       string // of the account
	DataCenter string // Mailchimp's dc
	// ReadOnly has Mailchimp's Marketing API refuse what changes anything, as for
	// a person whose role is viewer.
	ReadOnly bool
}

// DefaultAccounts returns the people that are there when a Config names none.
func DefaultAccounts() []Account {
	return []Account{
		{ID: 31415926, Person: "Ada Lovelace", Username: "alice", Email: "ada@example.com", Name: "Analytical Engines Ltd", DataCenter: "us6"},
		{ID: 27182818, Person: "Grace Hopper", Username: "bob", Email: "grace@example.com", Name: "Moth & Daughters", DataCenter: "us21"},
	}
}

// Rotation is what becomes of a refresh token that is used.
type Rotation string

// The rotations.
const (
	// RotateAlways: every refresh gives another refresh token, and the old one
	// must not be used again. This is also what "" means.
	RotateAlways Rotation = "always"
	// RotateNever: the refresh token stays the same and can be used at any time.
	RotateNever Rotation = "never"
)

// Config is what a Sandbox is made of.
type Config struct {
	Clients []Client
	// Scripts are the providers to play, in place of the two that are built in.
	// Nil: those two.
	Scripts []Script
	// Accounts that can be chosen. Nil: DefaultAccounts.
	Accounts []Account
	// APIKeys are the API keys of Mailchimp's Marketing API, with the ID of the
	// account of each. They end in a hyphen and the account's DataCenter. Nil: those
	// of DefaultAPIKeys whose accounts are there.
	APIKeys map[string]int
	// MaxConnections is how many requests the Marketing API works on at a time for
	// one account; those above are answered with 429. 0: 10, as Mailchimp. Below
	// 0: any number.
	MaxConnections int
	// SendDuration is how long a campaign is on its way. 0: it is sent at once.
	SendDuration time.Duration
	// TokenLifetime is the life of access tokens under /oauth, in whole
	// seconds. 0: an hour.
	TokenLifetime time.Duration

	// Rotation of refresh tokens. "": RotateAlways.
	Rotation Rotation
	// ReuseGrace is for how long after its first use a refresh token may be used
	// again: it then gives new tokens of the same family. Afterwards its use
	// revokes the whole family. 0: no use but the first is allowed.
	ReuseGrace time.Duration
	// RefreshTokenLifetime is when refresh tokens end, counted from the consent.
	// 0: never.
	RefreshTokenLifetime time.Duration
	// RefreshTokenSliding has RefreshTokenLifetime count anew with every refresh.
	RefreshTokenSliding bool
	// RefreshTokenIdle is for how long a refresh token may lie unused. 0: for
	// ever.
	RefreshTokenIdle time.Duration
	// RefreshExpiresIn sends refresh_expires_in with tokens, where refresh tokens
	// end: the seconds until then.
	RefreshExpiresIn bool
	// MaxFamilies is how many consents of one person to one client live at a
	// time; one more silently takes the oldest down, as at Google. 0: any number.
	MaxFamilies int

	// MaxConcurrent is how many requests an endpoint works on at a time, and
	// MaxPerSecond how many it takes in a second of Now. Those above are answered
	// with 429. 0: any number.
	MaxConcurrent, MaxPerSecond int
	// LimitRetryAfter is the Retry-After of those answers. 0: none.
	LimitRetryAfter time.Duration

	// Quirks are how the token endpoint differs from RFC 6749, in every answer.
	Quirks []Quirk
	// TokenMetadata are further members of the token endpoint's answers under
	// /oauth, such as an instance_url.
	TokenMetadata map[string]string

	// StatePath is a file that keeps what was issued, for restarts. Empty:
	// nothing is kept.
	StatePath string
	// Now is the clock. Nil: time.Now.
	Now func() time.Time
}
