// Package provider speaks OAuth 2.0 to authorization servers, and holds what is
// known of each of them as data.
//
// A [Definition] describes a provider: its endpoints, how clients authenticate,
// what to look up once a person has connected. Quirks are data; a provider that
// needs code needs a better schema. The catalogue, which [Templates] returns, has
// those that are well known; of any other, its issuer may suffice, which is asked
// for its metadata when the first request needs it. A [Provider] is a definition
// with a client's id and secret, ready to use; where URLs differ from one
// connection to the next, [Provider.With] gives it the connection's values.
//
// For operators, [Explain] says where each value came from, and [Provider.Probe]
// whether the provider can be used.
//
// Nothing here keeps, logs or returns what a provider has sent beyond what the
// fields of its types name: responses hold tokens, and errors may repeat them.
package provider
