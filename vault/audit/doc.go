// Package audit is the record of who was allowed or refused what: JSON lines in a
// file, to which lines are only ever added.
//
// # Chain
//
// Each line ends with a keyed hash of itself and of the hash before it, and the
// newest hash, the head, is also kept somewhere else, in the vault's own store. So
// whoever has the key finds every line that was changed, left out, moved or cut
// off: [Verify]. Whoever has the file and not the key can make no line that fits.
// What happened after the head was last kept, a second or less, is in the chain
// but can be cut off unseen.
//
// A file begins with a line that carries the hash it goes on from. Files that were
// moved away are read in their order, the newest last.
//
// # Writing
//
// [Log.Append] returns when the line has been handed to the operating system, and
// lines that wait share a write. The disk has them a moment later. A log that
// cannot be written says so, and whoever asks for it must not go on: what is not
// recorded does not happen.
//
// A line must never hold a secret. Tokens appear as keyed fingerprints, which tell
// whether two lines are about the same token and nothing else.
package audit
