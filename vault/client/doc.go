// Package client is what a Go program imports to use tokenvault: each call has
// credentials that work, or an error with a link that the person can open.
//
//	vault, err := client.New(ctx, "vault.example.com:9090", client.WithTokenFile("/run/secrets/tokenvault"))
//	mailchimp := vault.HTTPClient("alice", "mailchimp")
//	resp, err := mailchimp.Get("/lists") // below the API's base URL for alice's account
//	if connect, ok := errors.AsType[*client.ConnectRequired](err); ok {
//		link, err := connect.URL(ctx) // show it to alice
//	}
//
// Where the vault has binding: confirm, people come back to a page of the application's,
// which calls [Client.Confirm] for whom it has signed in. A program on the person's own
// machine has [Client.ListenForReturn] in place of such a page.
//
// [Client.TokenSource] is for libraries that take an oauth2.TokenSource,
// [Client.Credentials] for everything else.
//
// # How old an answer can be
//
// Answers are kept in memory, so that only the first call of many costs an RPC. One is
// given again until the token has less than the least life left ([WithMinTTL]), and for 5
// minutes at most. One watch (WatchConnections) for the whole client tells of changes:
// an answer about a connection that was disconnected, refreshed or connected anew is
// thrown away as soon as that is known, milliseconds after it has happened.
//
// While the watch is down, and for callers whose rules do not have WatchConnections,
// answers are given again for 30 seconds at most. The same goes for answers that were
// asked for with [WithSubjectToken] and no subject. A way to the vault that has broken
// without a sign is found out by keepalive, within 40 seconds; the 30 begin then.
//
// # Secrets
//
// Tokens and headers have types that print as [redacted]. Where they leave it (an
// oauth2.Token, Reveal), that is for the caller to keep up. The package logs no secret.
package client
