// Package sandbox is a made-up provider for development and tests. Nothing in it
// is real, and nothing real is touched.
//
// Under /mailchimp it behaves as Mailchimp does: its login, token and metadata
// endpoints, and the Marketing API of package marketing, with tokens and with API
// keys (Config.APIKeys). Under /oauth it is a
// standard authorization server (RFC 6749, 7009, 7636, 9207) with access tokens
// that end and refresh tokens that rotate; machines get tokens for themselves (RFC
// 6749, section 4.4), devices for their person (RFC 8628). With the scope openid it is
// an OpenID provider, at which whoever comes signs in as whom they choose; and access
// tokens for a resource (RFC 8707) are JWTs. What it signs says that it is made up, and
// the key is another one with every start.
//
// With scripts (Config.Scripts), it plays other providers in place of these two, at
// their own URLs or others; package playbook has one for each entry of the
// catalogue.
//
// It is the strict party: it refuses what a real provider might let pass, so that
// tests find what the vault does wrong. Faults can be set for each endpoint, and
// outages for a time to come; the token endpoint has all the quirks that were
// seen at real ones.
//
// It goes by Config.Now and starts nothing that runs by itself, so that it can be
// part of a testing/synctest bubble; Transport leads to it without sockets.
package sandbox
