// Package marketing is a client of the Mailchimp Marketing API 3.0, as far as an MCP
// server needs it: requests and answers in JSON, errors in words, and the API's manners.
//
// Mailchimp serves ten connections at a time for an account, whoever they are for; a
// [Limiter] keeps to that for all clients that share it. What comes too much all the
// same is tried again, as is what fails on the way, where that can do nothing twice.
//
// The package adds no credentials of its own, except those of an API key
// ([NewWithAPIKey]); nothing of them gets into an error. It must never send a request to
// another place than that which its [Path] names: see [NewPath].
package marketing
