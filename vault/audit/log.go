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
	config Config
	turn   chan struct{} // holds a token while somebody writes

	mu      sync.Mutex
	waiting []*appended
	fault   error // of the last write; nil: it went well

	// What follows belongs to whoever has the turn.
	file  *os.File
	head  Head
	saved Head   // the head as it was last kept
	lines []byte // room for those of a batch
}

// appended is an entry on its way into the file.
type appended struct {
	entry Entry
	done  chan struct{}
	err   error
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
	l := &Log{config: c, turn: make(chan struct{}, 1)}
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
	head, err := l.endOf(file)
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
		return fmt.Errorf("audit: begin %s: %w", l.config.Path, err)
	}
	l.head = Head{Sequence: l.head.Sequence + 1, Hash: hash}
	folder, err := os.Open(filepath.Dir(l.config.Path))
	if err != nil {
		return fmt.Errorf("audit: sync the folder of %s: %w", l.config.Path, err)
	}
	return errors.Join(l.file.Sync(), folder.Sync(), folder.Close())
}

// endOf finds the end of the chain in a file that may have lines after the kept
// head: those written in the last moment before the process ended. A last line
// that is not whole was never acknowledged, and goes.
func (l *Log) endOf(file *os.File) (Head, error) {
	for size := int64(firstLook); ; size *= 16 {
		content, whole, err := tail(file, size)
		if err != nil {
			return Head{}, fmt.Errorf("audit: read %s: %w", l.config.Path, err)
		}
		if len(content) == 0 && whole {
			return l.head, nil
		}
		head, found, err := l.continueFrom(l.head, content)
		switch {
		case err == nil && found:
			return head, nil
		case whole && err != nil:
			return Head{}, l.broken(err)
		case whole:
			return Head{}, l.broken(fmt.Errorf("line %d, which was written last, is not in it", l.head.Sequence))
		}
	}
}

// firstLook is how much of the end of a file is read at first, in bytes.
const firstLook = 1 << 20

// tail returns whole lines from the end of a file, and whether those are all. What
// is left of a line that was not written to its end is taken out of the file.
func tail(file *os.File, size int64) (content []byte, whole bool, err error) {
	info, err := file.Stat()
	if err != nil {
		return nil, false, err
	}
	from := max(info.Size()-size, 0)
	content = make([]byte, info.Size()-from)
	if _, err := file.ReadAt(content, from); err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	if torn := len(content) - bytes.LastIndexByte(content, '\n') - 1; torn > 0 {
		content = content[:len(content)-torn]
		if err := file.Truncate(from + int64(len(content))); err != nil {
			return nil, false, err
		}
	}
	if from > 0 {
		content = content[bytes.IndexByte(content, '\n')+1:]
	}
	return content, from == 0, nil
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
	return fmt.Errorf("audit: %s is not as it was written (%w): look with `tokenvault audit verify`, then move the file away to begin another; the gap stays on record", l.config.Path, cause)
}

// maxBatch is how many entries share a write at most.
const maxBatch = 512

// Append adds an entry, and returns when it has been handed to the operating
// system. The error is ErrUnavailable, or the context's where ctx ends first:
// the entry may be written all the same then.
func (l *Log) Append(ctx context.Context, e Entry) error {
	a := &appended{entry: e, done: make(chan struct{})}
	l.mu.Lock()
	l.waiting = append(l.waiting, a)
	l.mu.Unlock()
	for {
		select {
		case <-a.done:
			return a.err
		case l.turn <- struct{}{}:
			l.write()
			<-l.turn
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// write writes for all who wait. It is called with the turn.
func (l *Log) write() {
	l.mu.Lock()
	n := min(len(l.waiting), maxBatch)
	batch := l.waiting[:n:n]
	l.waiting = l.waiting[n:]
	l.mu.Unlock()
	if n == 0 {
		return // somebody else has written for this one
	}
	err := l.writeBatch(batch)
	if err != nil {
		l.config.Logger.Error("audit log not written", slog.Any("cause", err))
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	l.setFault(err)
	for _, a := range batch {
		a.err = err
		close(a.done)
	}
}

// writeBatch writes whole lines or nothing: what a failed write has left of one is
// taken back, so that the next line does not follow half of another.
func (l *Log) writeBatch(batch []*appended) error {
	if l.file == nil {
		if err := l.goOn(); err != nil {
			return err
		}
	}
	head := l.head
	lines := l.lines[:0]
	for _, a := range batch {
		begin := len(lines)
		lines = appendEntry(lines, head.Sequence+1, a.entry)
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

// takeBack takes the last bytes out of the file.
func (l *Log) takeBack(n int) error {
	if n == 0 {
		return nil
	}
	info, err := l.file.Stat()
	if err != nil {
		return err
	}
	return l.file.Truncate(info.Size() - int64(n))
}

func (l *Log) setFault(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = err
}

// Healthy returns nil, or why the last entry was not written.
func (l *Log) Healthy() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fault
}

// syncInterval is how often the file is synced and the head kept, while there is
// something to.
const syncInterval = time.Second

// Run syncs the file and keeps the head from time to time, until ctx ends, and
// once more then.
func (l *Log) Run(ctx context.Context) error {
	ticker := time.NewTicker(syncInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
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

// settle makes what was written durable, then keeps the head: the head must never
// be ahead of the file.
func (l *Log) settle(ctx context.Context) error {
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	head, file := l.head, l.file
	unchanged := head == l.saved
	<-l.turn
	if unchanged || file == nil {
		return nil
	}
	if err := file.Sync(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return fmt.Errorf("audit: sync %s: %w", l.config.Path, err)
	}
	if err := l.config.Keeper.SaveHead(ctx, head); err != nil {
		return fmt.Errorf("audit: keep the head of the log: %w", err)
	}
	l.turn <- struct{}{}
	l.saved = head
	<-l.turn
	return nil
}

// Reopen closes the file and opens its path anew: after the file was moved away.
func (l *Log) Reopen(ctx context.Context) error {
	if err := l.settle(ctx); err != nil {
		return err
	}
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	if l.file != nil {
		if err := errors.Join(l.file.Sync(), l.file.Close()); err != nil {
			return fmt.Errorf("audit: close %s: %w", l.config.Path, err)
		}
		l.file = nil
	}
	err := l.goOn()
	l.setFault(err)
	return err
}

// Verify reads the file and reports what is not as it was written. Entries are
// added meanwhile.
func (l *Log) Verify(ctx context.Context) (Report, error) {
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return Report{}, ctx.Err()
	}
	file, err := os.Open(l.config.Path)
	head, size := l.head, int64(0)
	if err == nil {
		var info fs.FileInfo
		if info, err = file.Stat(); err == nil {
			size = info.Size()
		}
	}
	<-l.turn
	if err != nil {
		return Report{}, fmt.Errorf("audit: open %s: %w", l.config.Path, err)
	}
	defer file.Close()
	return Verify(l.config.Key, head, File{Name: l.config.Path, Reader: io.NewSectionReader(file, 0, size)})
}

// Fingerprint is the key's.
func (l *Log) Fingerprint(token string) string { return l.config.Key.Fingerprint(token) }

// Close closes the file. Run has to have ended.
func (l *Log) Close() error {
	l.turn <- struct{}{} // and nobody writes after it
	if l.file == nil {
		return nil
	}
	return errors.Join(l.file.Sync(), l.file.Close())
}
