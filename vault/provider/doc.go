// Package provider speaks OAuth 2.0 to authorization servers, and holds what is
// known of each of them as data.
//
// A [Definition] describes a provider: its endpoints, how clients authenticate,
// what to look up once a person has connected. Quirks are data; a provider that
// needs code needs a better schema. A [Provider] is a definition with a client's
// id and secret, ready to use.
//
// Nothing here keeps, logs or returns what a provider has sent beyond what the
// fields of its types name: responses hold tokens, and errors may repeat them.
package provider
