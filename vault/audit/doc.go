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
// Where a process was killed between the moving of a file and the signal for it,
// lines after the kept head may be in the file that was moved away and their numbers
// in the new one again: that is reported, since it cannot be told from tampering.
//
// A file begins with a line that carries the hash it goes on from. Files that were
// moved away are read in their order, the newest last.
//
// # Writing
//
// [Log.Append] returns when the line has been handed to the operating system, and
// lines that wait share a write. The disk has them a moment later. A call is
// recorded when it has ended and before its answer leaves, a stream when its
// request has been decided, so a crash between the
// two, or the first write that fails, can leave an effect without a line. After a
// write that failed the log says so, and nothing that must be recorded may begin
// until it can be written again.
//
// A line must never hold a secret. Tokens appear as keyed fingerprints, which tell
// whether two lines are about the same token and nothing else.
package audit
