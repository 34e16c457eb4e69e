// Package access knows who is calling and what they may do.
//
// A [Policy] holds the callers that the operator has configured. Everything not
// allowed is refused, and a refusal says nothing of what exists.
package access
