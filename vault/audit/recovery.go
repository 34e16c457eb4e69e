package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
)

// goOn opens the file and finds the end of its chain. What stands in the journal
// only comes after it, as after a process was killed. A file that is new, since there
// was none or the one before was moved away, begins with a line of its own.
func (l *Log) goOn() error {
	file, err := os.OpenFile(l.config.Path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("audit: open %s: %w", l.config.Path, err)
	}
	if err := l.goOnIn(file); err != nil {
		return errors.Join(err, file.Close())
	}
	l.file = file
	return nil
}

func (l *Log) goOnIn(file *os.File) error {
	end, torn, err := l.endOf(file)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && torn > 0 {
		err = file.Truncate(info.Size() - torn) // it was never acknowledged
	}
	if err != nil {
		return err
	}
	journal, waiting, err := l.openJournal()
	if err != nil {
		return err
	}
	var lines []byte
	head, isNew := end, info.Size() == 0
	waiting = slices.DeleteFunc(waiting, func(line Line) bool { return line.Sequence <= end.Sequence })
	if len(waiting) > 0 && !isNew && waiting[0].Sequence > end.Sequence+1 {
		l.config.Logger.Error("lines of the audit log are missing before those in its journal, by a power cut or by somebody",
			slog.Uint64("after", end.Sequence), slog.Uint64("before", waiting[0].Sequence))
	}
	if isNew {
		lines = appendOpening(lines, head.Sequence+1, opening{Time: l.config.Now().UTC(), Opened: format, Continues: head.Hash})
		lines = l.config.Key.appendHash(lines, 0, &head)
	}
	for _, line := range waiting {
		lines = l.config.Key.appendAgain(lines, line, &head)
	}
	err = writeWhole(file, lines)
	if err == nil && isNew {
		err = l.syncNew(file)
	}
	if err == nil {
		err = journal.clear(head.Hash)
	}
	if err != nil {
		return errors.Join(err, journal.close())
	}
	journal, l.journal = l.journal, journal
	l.written, l.head = head, head
	return journal.close()
}

// openJournal opens the journal anew, and returns the lines in it. One that is not as
// it was written is moved away, where it can be looked at.
func (l *Log) openJournal() (j *journal, waiting []Line, err error) {
	path := JournalPath(l.config.Path)
	j, content, err := openJournal(path)
	if err != nil && !errors.Is(err, errNotAJournal) {
		return nil, nil, fmt.Errorf("audit: open the journal %s: %w: the vault has to be able to make files in the log's folder, and to map them into memory", path, err)
	}
	if l.journal != nil { // somebody may have removed its file
		var copyErr error
		content, copyErr = l.journal.copied()
		err = errors.Join(err, copyErr)
	}
	waiting, linesErr := l.config.Key.journalLines(content)
	if err = errors.Join(err, linesErr); err == nil {
		return j, waiting, nil
	}
	l.config.Logger.Error("journal of the audit log moved away: it is not as it was written, by a power cut or by somebody", slog.String("to", path+".odd"), slog.Any("cause", err))
	if err := errors.Join(j.close(), os.Rename(path, path+".odd")); err != nil {
		return nil, nil, fmt.Errorf("audit: move the journal away: %w", err)
	}
	j, _, err = openJournal(path)
	return j, waiting, err
}

// syncNew makes a file and its name durable.
func (l *Log) syncNew(file *os.File) error {
	folder, err := os.Open(filepath.Dir(l.config.Path))
	if err != nil {
		return fmt.Errorf("audit: sync the folder of %s: %w", l.config.Path, err)
	}
	return errors.Join(file.Sync(), folder.Sync(), folder.Close())
}

// endOf finds the end of the chain in a file that may have lines after the kept
// head: those written in the last moment before the process ended. It returns how
// much of a line stands after the last whole one, in bytes. It changes nothing: the
// file may be another than was meant.
func (l *Log) endOf(file *os.File) (head Head, torn int64, err error) {
	for size := int64(firstLook); ; size *= 16 {
		content, torn, whole, err := tail(file, size)
		switch {
		case err != nil:
			return Head{}, 0, fmt.Errorf("audit: read %s: %w", l.config.Path, err)
		case torn > maxTorn:
			return Head{}, 0, l.broken(errNotALog)
		case len(content) == 0 && whole && torn > 0:
			// Not even the line that begins a file: that one is synced before the
			// next, so what is here was never a log.
			return Head{}, 0, l.broken(errNotALog)
		case len(content) == 0 && whole:
			return l.written, 0, nil
		}
		head, found, err := l.continueFrom(l.written, content)
		switch {
		case err == nil && found:
			return head, torn, nil
		case whole && err != nil:
			return Head{}, 0, l.broken(err)
		case whole:
			return Head{}, 0, l.broken(fmt.Errorf("line %d, which was written last, is not in it", l.written.Sequence))
		}
	}
}

// errNotALog says that a file holds something else.
var errNotALog = errors.New("it is not an audit log")

// firstLook is how much of the end of a file is read at first, in bytes.
const firstLook = 1 << 20

// tail returns whole lines from the end of a file, how many bytes of another follow
// them, and whether the file begins with what is returned.
func tail(file *os.File, size int64) (content []byte, torn int64, whole bool, err error) {
	info, err := file.Stat()
	if err != nil {
		return nil, 0, false, err
	}
	from := max(info.Size()-size, 0)
	content = make([]byte, info.Size()-from)
	if _, err := file.ReadAt(content, from); err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, false, err
	}
	end := bytes.LastIndexByte(content, '\n') + 1
	torn = int64(len(content) - end)
	content = content[:end]
	if from > 0 {
		content = content[bytes.IndexByte(content, '\n')+1:]
	}
	return content, torn, from == 0, nil
}

// continueFrom follows the chain from a head through lines that begin before or
// after it. It reports whether the head was found: by its line, or by a line that
// says that it continues it.
func (l *Log) continueFrom(head Head, content []byte) (end Head, found bool, err error) {
	kept := head
	for text := range bytes.Lines(content) {
		line, err := ParseLine(bytes.TrimSuffix(text, []byte("\n")))
		if err != nil {
			return Head{}, false, fmt.Errorf("a line %w", err)
		}
		switch {
		case line.Sequence < kept.Sequence:
			continue
		case line.Sequence == kept.Sequence:
			if line.hash != kept.Hash {
				return Head{}, false, fmt.Errorf("line %d was changed", line.Sequence)
			}
			found = true
			continue
		}
		if !l.config.Key.follows(line, head) {
			return Head{}, false, fmt.Errorf("line %d does not follow the one before it", line.Sequence)
		}
		found = found || line.Entry == nil && line.Continues == kept.Hash
		head = Head{Sequence: line.Sequence, Hash: line.hash}
	}
	return head, found, nil
}

func (l *Log) broken(cause error) error {
	return fmt.Errorf("audit: %s is not as it was written (%w): look with `tokenvault audit verify --config tokenvault.yaml`, then move the file away to begin another; the gap stays on record", l.config.Path, cause)
}

// maxTorn bounds how much of a write that was cut short stands in the file, in bytes.
const maxTorn = 32 << 20
