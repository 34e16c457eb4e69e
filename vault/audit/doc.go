// Package audit is the record of who was allowed or refused what: JSON lines in a
// file, to which lines are only ever added.
//
// # Chain
//
// Each line ends with a keyed hash of itself and of the hash before it, and the
// newest hash, the head, is also kept somewhere else, sealed in the vault's own
// database. Whoever has the files and not the key can make no line that fits. So
// whoever has the key finds with [Verify] every byte that was changed, added or
// taken out; every line that was dropped, doubled, moved or swapped, also into
// another file; a file that was dropped, cut off, emptied, or put back as an older
// copy of itself.
//
// What cannot be found:
//
//   - Whoever can write the database too sets files and head back together: to a
//     state that was whole once, as from one backup of both. A head kept outside
//     (the last number that verify prints) shows it.
//   - What happened after the head was last kept, a second or less while the vault
//     runs, can be cut off at the end of the newest file. When the vault stops, the
//     head is kept once more.
//   - The oldest files may be deleted, in their order: that is how a log is kept
//     short. What verify prints as its first line says what is left.
//   - Whoever has the master key and the database can write any log.
//
// Where a process was killed between the moving of a file and the signal for it,
// lines after the kept head may be in the file that was moved away and their numbers
// in the new one again: that is reported, since it cannot be told from tampering.
//
// A file begins with a line that carries the hash it goes on from, and no other has
// one. Files that were moved away are read in their order, the newest last. A file
// is moved away, and the log opened anew; to copy and truncate it loses lines, and is
// found.
//
// # Writing
//
// [Log.Append] returns when the line stands in the journal, a file beside the log that
// is mapped into memory: it is the operating system's then, and no system call was
// needed for it. A process that is killed loses nothing. A few milliseconds later the
// lines are in the log's file, each of them whole, and within a second on the disk: a
// power cut takes what was not. A call is recorded when it has ended and before its
// answer leaves, a stream when its request has been decided and once more when it
// ends. So a crash between the call and its line, or the first write that fails, can
// leave an effect without a line. After a write that failed the log says so, and
// nothing that must be recorded may begin until it can be written again, signing out of
// the portal excepted; what was acknowledged before stays in the journal until then.
//
// # Journal
//
// The journal has a fixed size and all of its space from the beginning, so no line
// lacks it (a file system that writes copies, such as btrfs, can lack it all the same:
// the call is refused then). Where it cannot be made, or files cannot be mapped, no log
// is opened.
//
// [Open] adds to the file what stands in the journal only: lines that follow the end of
// the file stay as they are. Others are numbered anew: those of a file that was moved
// away meanwhile, and those before which lines are missing, which the vault's log says.
// What is in the file already, as all of an older journal, is passed over. A
// journal with a line that does not follow the one before it is moved away, to a name
// that ends in .odd, when the lines before that one have been added, and the vault's
// log says so: a power cut leaves such ones, since the disk gets the pages in any order,
// and so does tampering. That is no way to hide more than could be cut off at the end
// of the file: nothing that stands in the journal only is under the kept head.
//
// [Verify] reads the journal after the newest file, and reports every line in it that
// was changed. Where the vault was killed while it wrote to the file, the half of a line
// at the end of the file is no problem if the journal has the whole.
//
// A line must never hold a secret. Tokens appear as keyed fingerprints, which tell
// whether two lines are about the same token and nothing else.
package audit
