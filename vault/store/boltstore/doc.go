// Package boltstore keeps records in one bbolt file: the default backend, for one
// process on one machine.
//
// The file is made whole or not at all, and a marker beside it remembers that it
// was made: a file that is missing, empty or cut short later stops the start. It
// must never create anything over something that was there.
package boltstore
