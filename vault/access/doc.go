// Package access knows who is calling and what they may do.
//
// A [Policy] holds the callers that the operator has configured. Its authenticators
// find out which of them is calling, from what came with the call: first a client
// certificate, then a JWT, then a static token. The first that knows the caller
// decides. Everything not allowed is refused, and a refusal says nothing of what
// exists.
package access
