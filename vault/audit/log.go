package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// HeadKeeper keeps the end of the chain where whoever can write the log's file
// cannot.
type HeadKeeper interface {
	// LoadHead returns the head that was saved last; the zero Head where none was.
	LoadHead(context.Context) (Head, error)
	SaveHead(context.Context, Head) error
}

// Config is what a Log is made of.
type Config struct {
	// Path is the file. Its folder must exist.
	Path string
	// Key makes the chain.
	Key Key
	// Keeper keeps its end.
	Keeper HeadKeeper
	// Logger gets what goes wrong. Nil: nothing does.
	Logger *slog.Logger
	// Now is the clock. Nil: time.Now.
	Now func() time.Time
}

// ErrUnavailable says that the log cannot be written, and that nothing may happen
// that has to be recorded.
var ErrUnavailable = errors.New("audit: the log cannot be written")

// Log is an open log. It is safe for concurrent use.
type Log struct {
	config       Config
	fingerprints *fingerprints
	fault        atomic.Pointer[error] // of the last write; nil: it went well

	mu   sync.Mutex // of the entries of next
	next *batch     // what is to be written next; changed with both locks

	turn sync.Mutex // is held by whoever writes; taken before mu
	// What follows belongs to whoever has the turn.
	file  *os.File
	head  Head
	lines []byte  // room for those of a batch
	room  []Entry // likewise, for the batch after the next

	settling sync.Mutex // taken before turn
	saved    Head       // the head as it was last kept; with settling
}

// batch is entries that share a write.
type batch struct {
	entries []Entry
	err     error // of the write; with the turn
}

// Open opens a log and goes on where it ended. It returns an error where the file
// is not the one that the head belongs to: then lines were cut off or changed.
func Open(ctx context.Context, c Config) (*Log, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Log{config: c, fingerprints: newFingerprints(c.Key), next: new(batch)}
	kept, err := c.Keeper.LoadHead(ctx)
	if err != nil {
		return nil, fmt.Errorf("audit: read the head of the log: %w", err)
	}
	l.head, l.saved = kept, kept
	if err := l.goOn(); err != nil {
		return nil, err
	}
	return l, nil
}

// goOn opens the file and finds the end of its chain. A file that is new, since
// there was none or the one before was moved away, begins with a line of its own.
func (l *Log) goOn() error {
	file, err := os.OpenFile(l.config.Path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("audit: open %s: %w", l.config.Path, err)
	}
	head, torn, err := l.endOf(file)
	if err == nil && torn > 0 {
		// It was never acknowledged.
		if info, statErr := file.Stat(); statErr != nil {
			err = statErr
		} else {
			err = file.Truncate(info.Size() - torn)
		}
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	l.file, l.head = file, head
	if info, err := file.Stat(); err == nil && info.Size() > 0 {
		return nil
	}
	if err := l.begin(); err != nil {
		l.file = nil
		return errors.Join(err, file.Close())
	}
	return nil
}

// begin writes the line that begins a file, and makes the file's name durable.
func (l *Log) begin() error {
	signed := appendOpening(nil, l.head.Sequence+1, opening{Time: l.config.Now().UTC(), Opened: format, Continues: l.head.Hash})
	hash := l.config.Key.link(l.head.Hash, signed)
	if _, err := l.file.Write(seal(signed, hash)); err != nil {
		return errors.Join(fmt.Errorf("audit: begin %s: %w", l.config.Path, err), l.file.Truncate(0)) // it was empty
	}
	l.head = Head{Sequence: l.head.Sequence + 1, Hash: hash}
	folder, err := os.Open(filepath.Dir(l.config.Path))
	if err != nil {
		return fmt.Errorf("audit: sync the folder of %s: %w", l.config.Path, err)
	}
	return errors.Join(l.file.Sync(), folder.Sync(), folder.Close())
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
			return l.head, 0, nil
		}
		head, found, err := l.continueFrom(l.head, content)
		switch {
		case err == nil && found:
			return head, torn, nil
		case whole && err != nil:
			return Head{}, 0, l.broken(err)
		case whole:
			return Head{}, 0, l.broken(fmt.Errorf("line %d, which was written last, is not in it", l.head.Sequence))
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

// maxWaiting bounds what waits for the disk, in entries. More are refused.
const maxWaiting = 10_000

// Append adds an entry, and returns when it has been handed to the operating
// system. The error is ErrUnavailable.
func (l *Log) Append(e Entry) error {
	l.mu.Lock()
	b := l.next
	if len(b.entries) == maxWaiting {
		l.mu.Unlock()
		return fmt.Errorf("%w: the disk does not keep up", ErrUnavailable)
	}
	b.entries = append(b.entries, e)
	l.mu.Unlock()
	l.turn.Lock()
	defer l.turn.Unlock()
	if l.next == b { // nobody else has written it
		l.write()
	}
	return b.err
}

// write writes for all who wait. It is called with the turn.
func (l *Log) write() {
	l.mu.Lock()
	b := l.next
	l.next = &batch{entries: l.room}
	l.mu.Unlock()
	if err := l.writeBatch(b.entries); err != nil {
		l.config.Logger.Error("audit log not written", slog.Any("cause", err))
		b.err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	l.setFault(b.err)
	clear(b.entries)
	l.room, b.entries = b.entries[:0], nil
}

// writeBatch writes whole lines or nothing: what a failed write has left of one is
// taken back, so that the next line does not follow half of another.
func (l *Log) writeBatch(entries []Entry) error {
	if l.file == nil {
		if err := l.goOn(); err != nil {
			return err
		}
	}
	head := l.head
	lines := l.lines[:0]
	for i := range entries {
		begin := len(lines)
		lines = appendEntry(lines, head.Sequence+1, &entries[i])
		hash := l.config.Key.link(head.Hash, lines[begin:])
		lines = seal(lines, hash)
		head = Head{Sequence: head.Sequence + 1, Hash: hash}
	}
	l.lines = lines
	if n, err := l.file.Write(lines); err != nil {
		return errors.Join(err, l.takeBack(n))
	}
	l.head = head
	return nil
}

// takeBack takes the last bytes out of the file, and closes it: it is looked at
// again before the next line is written.
func (l *Log) takeBack(n int) error {
	file := l.file
	l.file = nil
	info, err := file.Stat()
	if err == nil && n > 0 {
		err = file.Truncate(info.Size() - int64(n))
	}
	return errors.Join(err, file.Close())
}

func (l *Log) setFault(err error) {
	if err != nil {
		l.fault.Store(&err)
	} else if l.fault.Load() != nil {
		l.fault.Store(nil)
	}
}

// Healthy returns nil, or why the last entry was not written.
func (l *Log) Healthy() error {
	if err := l.fault.Load(); err != nil {
		return *err
	}
	return nil
}

// syncInterval is how often the file is synced and the head kept, while there is
// something to.
const syncInterval = time.Second

// Run syncs the file and keeps the head from time to time, until ctx ends, and
// once more then. While the log cannot be written, it tries to open it again.
func (l *Log) Run(ctx context.Context) error {
	ticker := time.NewTicker(syncInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			l.retry()
			if err := l.settle(ctx); err != nil && ctx.Err() == nil {
				l.config.Logger.Error("head of the audit log not kept", slog.Any("cause", err))
			}
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			return l.settle(last)
		}
	}
}

// retry opens the file anew after a write has failed.
func (l *Log) retry() {
	if l.Healthy() == nil {
		return
	}
	l.turn.Lock()
	defer l.turn.Unlock()
	if l.file == nil {
		l.setFault(l.goOn())
	}
}

// settle makes what was written durable, then keeps the head: the head must never
// be ahead of the file.
func (l *Log) settle(ctx context.Context) error {
	l.settling.Lock() // heads are kept in their order
	defer l.settling.Unlock()
	l.turn.Lock()
	head, file := l.head, l.file
	l.turn.Unlock()
	return l.keep(ctx, head, file)
}

// keep is called with l.settling held.
func (l *Log) keep(ctx context.Context, head Head, file *os.File) error {
	if head == l.saved || file == nil {
		return nil
	}
	if err := file.Sync(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return fmt.Errorf("audit: sync %s: %w", l.config.Path, err)
	}
	if err := l.config.Keeper.SaveHead(ctx, head); err != nil {
		return fmt.Errorf("audit: keep the head of the log: %w", err)
	}
	l.saved = head
	return nil
}

// Reopen closes the file and opens its path anew: after the file was moved away.
// Nothing is written meanwhile, so that the new file continues from a head that is
// kept.
func (l *Log) Reopen(ctx context.Context) error {
	l.settling.Lock()
	defer l.settling.Unlock()
	l.turn.Lock()
	defer l.turn.Unlock()
	if err := l.keep(ctx, l.head, l.file); err != nil {
		return err
	}
	if file := l.file; file != nil {
		l.file = nil
		if err := file.Close(); err != nil {
			l.config.Logger.Error("audit log not closed", slog.Any("cause", err))
		}
	}
	err := l.goOn()
	l.setFault(err)
	return err
}

// Verify reads the file and reports what is not as it was written. Entries are
// added meanwhile.
func (l *Log) Verify() (Report, error) {
	l.turn.Lock()
	file, err := os.Open(l.config.Path)
	head, size := l.head, int64(0)
	if err == nil {
		var info fs.FileInfo
		if info, err = file.Stat(); err == nil {
			size = info.Size()
		}
	}
	l.turn.Unlock()
	if err != nil {
		return Report{}, fmt.Errorf("audit: open %s: %w", l.config.Path, err)
	}
	defer file.Close()
	return Verify(l.config.Key, head, File{Name: l.config.Path, Reader: io.NewSectionReader(file, 0, size)})
}

// Fingerprint is the key's.
func (l *Log) Fingerprint(token string) string { return l.fingerprints.of(token) }

// Close closes the file. Run has to have ended.
func (l *Log) Close() error {
	l.turn.Lock() // and nobody writes after it
	if l.file == nil {
		return nil
	}
	return errors.Join(l.file.Sync(), l.file.Close())
}
