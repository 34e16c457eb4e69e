package audit

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"unsafe"
)

// journal is a file beside the log that is mapped into memory. A line that stands in
// it belongs to the operating system, as one that was written to a file does, and no
// system call was needed for it.
//
// It has a fixed size: its name, how many bytes of lines there are, the hash that the
// first of them follows, the lines. What follows them says nothing.
type journal struct {
	content []byte  // the mapping
	length  *uint64 // in it
	end     int     // of the lines in content
}

const (
	journalName = "tokenvault-audit-journal"
	lengthAt    = len(journalName) // of eight bytes, which have to be aligned
	beforeAt    = lengthAt + 8
	linesAt     = 128
	journalSize = 256 << 10
)

// JournalPath returns the path of the journal of the log at path.
func JournalPath(path string) string { return path + ".journal" }

// openJournal opens the journal at path, or makes one where there is none. It
// returns what was in it, too.
func openJournal(path string) (*journal, []byte, error) {
	before, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		before = make([]byte, journalSize)
		copy(before, journalName)
		err = makeJournal(path, before)
	}
	if err != nil {
		return nil, nil, err
	}
	if !isJournal(before) {
		return nil, before, errNotAJournal
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	content, err := mapShared(file, journalSize)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, nil, err
	}
	return &journal{content: content, length: (*uint64)(unsafe.Pointer(&content[lengthAt])), end: linesAt}, before, nil
}

// makeJournal makes the file whole or not at all, and has the disk give it its
// space: no later line can lack it.
func makeJournal(path string, content []byte) error {
	file, err := os.OpenFile(path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// errNotAJournal says that a file holds something else.
var errNotAJournal = errors.New("it is not the journal of an audit log")

func isJournal(content []byte) bool {
	return len(content) == journalSize && bytes.HasPrefix(content, []byte(journalName)) &&
		binary.NativeEndian.Uint64(content[lengthAt:]) <= journalSize-linesAt
}

// lines are those that are not in the log's file.
func (j *journal) lines() []byte { return j.content[linesAt:j.end] }

// fits reports whether there is room for a line.
func (j *journal) fits(line []byte) bool { return j.end+len(line) <= len(j.content) }

// put adds a line that fits. What makes it one of the lines is the last store: a
// process that ends at any moment leaves all of it or nothing.
func (j *journal) put(line []byte) (err error) {
	defer recoverFault(&err, debug.SetPanicOnFault(true))
	copy(j.content[j.end:], line)
	atomic.StoreUint64(j.length, uint64(j.end+len(line)-linesAt))
	j.end += len(line)
	return nil
}

// clear takes all lines out. hash is what the next one follows.
func (j *journal) clear(hash string) (err error) {
	defer recoverFault(&err, debug.SetPanicOnFault(true))
	atomic.StoreUint64(j.length, 0)
	clear(j.content[beforeAt+copy(j.content[beforeAt:linesAt], hash) : linesAt])
	j.end = linesAt
	return nil
}

// copied returns the content of the mapping.
func (j *journal) copied() (content []byte, err error) {
	defer recoverFault(&err, debug.SetPanicOnFault(true))
	return bytes.Clone(j.content), nil
}

// close ends the mapping. Nil: there is none.
func (j *journal) close() error {
	if j == nil {
		return nil
	}
	return unmap(j.content)
}

// recoverFault makes an error of a page that could not be had: somebody has cut off
// the file, or its disk fails. before is what debug.SetPanicOnFault has returned.
func recoverFault(err *error, before bool) {
	debug.SetPanicOnFault(before)
	switch cause := recover().(type) {
	case nil:
	case interface {
		runtime.Error
		Addr() uintptr
	}:
		*err = fmt.Errorf("audit: the journal was cut off, or its disk fails: %w", cause)
	default:
		panic(cause)
	}
}

// journalLines takes the content of a journal apart. The error says why the lines
// end before they should.
func (k Key) journalLines(content []byte) (lines []Line, err error) {
	if !isJournal(content) {
		return nil, errNotAJournal
	}
	hash := string(bytes.TrimRight(content[beforeAt:linesAt], "\x00"))
	end := linesAt + int(binary.NativeEndian.Uint64(content[lengthAt:]))
	for text := range bytes.Lines(content[linesAt:end]) {
		line, err := ParseLine(bytes.TrimSuffix(text, []byte("\n")))
		if err != nil {
			return lines, fmt.Errorf("a line %w", err)
		}
		if !k.follows(line, Head{Sequence: line.Sequence - 1, Hash: hash}) {
			return lines, fmt.Errorf("line %d, or the one before it, was changed", line.Sequence)
		}
		lines, hash = append(lines, line), line.hash
	}
	return lines, nil
}

// appendAgain appends a line as the next of a chain. One that already is that stays
// as it is.
func (k Key) appendAgain(lines []byte, line Line, head *Head) []byte {
	begin := len(lines)
	lines = strconv.AppendUint(append(lines, `{"seq":`...), head.Sequence+1, 10)
	lines = append(lines, line.signed[bytes.IndexByte(line.signed, ','):]...)
	return k.appendHash(lines, begin, head)
}
