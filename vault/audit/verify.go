package audit

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
)

// maxLine is the longest line, in bytes. The names in an entry are bounded, so no
// line comes near it.
const maxLine = 64 << 10

// Problem is where a log is not as it was written.
type Problem struct {
	File string
	Line int // from 1; 0: its end
	Text string
}

// String returns the problem as editors and compilers write it.
func (p Problem) String() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s", p.File, p.Text)
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
}

// Report is what a verification has found.
type Report struct {
	Entries  int
	First    uint64 // number of the first line; 0: there was none
	Last     Head
	Problems []Problem
}

// maxProblems is how many problems are reported. More say nothing new.
const maxProblems = 20

// File is a file to verify.
type File struct {
	Name   string
	Reader io.Reader
}

// Verify reads the files of a log in their order, the newest last, and after it, if
// the vault is stopped, the log's journal, which is told by what it holds. It reports
// every line that was changed, left out, moved, added or cut off since it was
// written; so is where a file begins and ends. kept is the head that is kept elsewhere. Lines before the first file
// are not missed: files may be deleted from the front. The error is that of a
// reader.
func Verify(key Key, kept Head, files ...File) (Report, error) {
	v := &verifier{key: key, kept: kept}
	for _, file := range files {
		if err := v.read(file); err != nil {
			return v.report, fmt.Errorf("read %s: %w", file.Name, err)
		}
	}
	v.end()
	return v.report, nil
}

type verifier struct {
	key    Key
	report Report
	kept   Head
	newest string // the name of the newest file
	torn   []byte // its last line, if that has no end
	lines  int    // of it
	begun  bool   // the first line was read
	met    bool   // the line that the kept head is of was read, as it was written
}

func (v *verifier) fail(file string, line int, format string, args ...any) {
	if len(v.report.Problems) < maxProblems {
		v.report.Problems = append(v.report.Problems, Problem{file, line, fmt.Sprintf(format, args...)})
	}
}

func (v *verifier) read(file File) error {
	reader := bufio.NewReader(file.Reader)
	if name, err := reader.Peek(len(journalName)); err == nil && string(name) == journalName {
		return v.journal(file.Name, reader)
	}
	v.failTorn()
	v.newest = file.Name
	lines := bufio.NewScanner(reader)
	lines.Buffer(make([]byte, 0, 4096), maxLine)
	lines.Split(wholeLines)
	n := 0
	for lines.Scan() {
		n++
		text, isWhole := bytes.CutSuffix(lines.Bytes(), []byte("\n"))
		if !isWhole {
			v.torn, v.lines = bytes.Clone(text), n
			continue
		}
		line, err := ParseLine(text)
		if err != nil {
			v.fail(file.Name, n, "%v", err)
			continue
		}
		v.line(file.Name, n, line)
	}
	if n == 0 {
		v.fail(file.Name, 0, "is empty: an audit log has a line from its beginning on")
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		v.fail(file.Name, n+1, "is longer than a line of an audit log can be; what comes after it was not read")
		return nil
	}
	return lines.Err()
}

// journal looks at the lines of a journal that are not in a file.
func (v *verifier) journal(name string, reader io.Reader) error {
	content, err := io.ReadAll(io.LimitReader(reader, journalSize+1))
	if err != nil {
		return err
	}
	lines, err := v.key.journalLines(content)
	written := v.report.Last.Sequence
	for i, line := range lines {
		if line.Sequence == written+1 && bytes.HasPrefix(line.text(), v.torn) {
			v.torn = nil // the process was killed while it wrote the line
		}
		if line.Sequence > written {
			v.line(name, i+2, line) // its first line is not one of the log
		}
	}
	if err != nil {
		v.fail(name, len(lines)+2, "%v", err)
	}
	return nil
}

// wholeLines is bufio.ScanLines, but keeps what a line ends with.
func wholeLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if end := bytes.IndexByte(data, '\n') + 1; end > 0 {
		return end, data[:end], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// failTorn says that the last line of the newest file has no end.
func (v *verifier) failTorn() {
	if v.torn != nil {
		v.fail(v.newest, v.lines, "is cut off before its end")
	}
	v.torn = nil
}

// line looks at one line. After one that does not fit, the chain is taken up
// where that line says that it goes on, so that the next problem is found too.
func (v *verifier) line(file string, n int, line Line) {
	head, isKnown := v.report.Last, true
	switch {
	case n == 1 && line.Entry != nil:
		v.fail(file, n, "a file begins with a line that says what it continues: what came before this one was cut off or moved (a log is moved away whole, then SIGHUP; one that is truncated in place loses lines)")
		isKnown = v.begun // or else nothing says what the line continues
	case n > 1 && line.Entry == nil:
		v.fail(file, n, "this line begins a file: what comes before it belongs to another")
	}
	if !v.begun {
		v.begun = true
		v.report.First = line.Sequence
		head = Head{Sequence: line.Sequence - 1, Hash: line.Continues}
	}
	if isKnown && !v.key.follows(line, head) {
		switch {
		case line.Sequence > head.Sequence+1:
			v.fail(file, n, "lines %d to %d are missing before this one", head.Sequence+1, line.Sequence-1)
		case line.Sequence <= head.Sequence:
			v.fail(file, n, "line %d is here again, or out of its order", line.Sequence)
		default:
			v.fail(file, n, "line %d, or the one before it, was changed", line.Sequence)
		}
	} else if line.Entry == nil && line.Continues != head.Hash {
		v.fail(file, n, "the file says that it continues another log")
	}
	if line.Entry != nil {
		v.report.Entries++
	}
	v.report.Last = Head{Sequence: line.Sequence, Hash: line.hash}
	v.met = v.met || v.report.Last == v.kept
}

// end compares the end of the chain with the head that is kept elsewhere.
func (v *verifier) end() {
	v.failTorn()
	last := cmp.Or(v.newest, "the log")
	switch found := v.report.Last; {
	case found.Sequence < v.kept.Sequence:
		v.fail(last, 0, "lines %d to %d are missing at the end", found.Sequence+1, v.kept.Sequence)
	case v.kept.Sequence >= max(v.report.First, 1) && !v.met:
		v.fail(last, 0, "line %d is not the one that was written", v.kept.Sequence)
	}
}
