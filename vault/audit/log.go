package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
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
	// Path is the file. Its folder must exist, and the vault be able to make files
	// there: the journal stands beside it, and is not for rotation.
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

	mu      sync.Mutex
	file    *os.File // nil: it has to be opened anew
	journal *journal // nil: it has never been opened, or the log is closed
	written Head     // the end of the chain in the file
	head    Head     // and in the journal
	line    []byte   // room for one
	waiting *time.Timer
	closed  bool

	settling sync.Mutex // taken before mu
	saved    Head       // the head as it was last kept; with settling
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
	l := &Log{config: c, fingerprints: newFingerprints(c.Key)}
	kept, err := c.Keeper.LoadHead(ctx)
	if err != nil {
		return nil, fmt.Errorf("audit: read the head of the log: %w", err)
	}
	l.written, l.saved = kept, kept
	if err := l.goOn(); err != nil {
		return nil, err
	}
	l.waiting = time.AfterFunc(maxWait, l.writeWaiting)
	l.waiting.Stop()
	return l, nil
}

// maxWait is how long a line stands in the journal only, at most.
const maxWait = 5 * time.Millisecond

// Append adds an entry, and returns when it is the operating system's: in the journal.
// The error is ErrUnavailable.
func (l *Log) Append(e Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.append(&e); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

func (l *Log) append(e *Entry) error {
	if l.file == nil { // the last write failed
		if err := l.write(); err != nil {
			return err
		}
	}
	head := l.head
	l.line = l.config.Key.appendHash(appendEntry(l.line[:0], head.Sequence+1, e), 0, &head)
	if !l.journal.fits(l.line) {
		if err := l.write(); err != nil {
			return err
		}
	}
	if len(l.journal.lines()) == 0 {
		l.waiting.Reset(maxWait)
	}
	if err := l.journal.put(l.line); err != nil {
		l.giveUp(err)
		return err
	}
	l.head = head
	return nil
}

// writeWaiting is called a moment after a line has come into the empty journal.
func (l *Log) writeWaiting() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.write() // it is told and tried again
}

// write writes what stands in the journal only. What cannot be written stays there.
// It is called with l.mu held.
func (l *Log) write() error {
	if l.closed {
		return errors.New("audit: the log is closed")
	}
	var err error
	if l.file == nil {
		err = l.goOn()
	} else if lines := l.journal.lines(); len(lines) > 0 {
		if err = writeWhole(l.file, lines); err == nil {
			l.written = l.head
			err = l.journal.clear(l.head.Hash)
		}
	}
	if err != nil {
		l.giveUp(err)
		return err
	}
	l.setFault(nil)
	return nil
}

// giveUp closes the file: it is looked at again before the next line is written.
func (l *Log) giveUp(cause error) {
	l.config.Logger.Error("audit log not written", slog.Any("cause", cause))
	l.setFault(cause)
	if l.file != nil {
		_ = l.file.Close() // what it has said before counts
		l.file = nil
	}
}

// writeWhole writes whole lines or nothing: what a failed write has left of one is
// taken back, so that the next line does not follow half of another.
func writeWhole(file *os.File, lines []byte) error {
	n, err := file.Write(lines)
	if err == nil || n == 0 {
		return err
	}
	info, statErr := file.Stat()
	if statErr == nil {
		statErr = file.Truncate(info.Size() - int64(n))
	}
	return errors.Join(err, statErr)
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
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		_ = l.write() // it is told and tried again
	}
}

// settle makes what was written durable, then keeps the head: the head must never
// be ahead of the file.
func (l *Log) settle(ctx context.Context) error {
	l.settling.Lock() // heads are kept in their order
	defer l.settling.Unlock()
	l.mu.Lock()
	if l.file != nil {
		_ = l.write() // it is told and tried again
	}
	head, file := l.written, l.file
	l.mu.Unlock()
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
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		_ = l.write() // or else the lines go into the new file
	}
	if err := l.keep(ctx, l.written, l.file); err != nil {
		return err
	}
	if file := l.file; file != nil {
		l.file = nil
		if err := file.Close(); err != nil {
			l.config.Logger.Error("audit log not closed", slog.Any("cause", err))
		}
	}
	return l.write()
}

// Verify reads the file and reports what is not as it was written. Entries are
// added meanwhile.
func (l *Log) Verify() (Report, error) {
	l.mu.Lock()
	if l.file != nil {
		_ = l.write() // it is told and tried again
	}
	file, err := os.Open(l.config.Path)
	head, size := l.written, int64(0)
	if err == nil {
		var info fs.FileInfo
		if info, err = file.Stat(); err == nil {
			size = info.Size()
		}
	}
	l.mu.Unlock()
	if err != nil {
		return Report{}, fmt.Errorf("audit: open %s: %w", l.config.Path, err)
	}
	defer file.Close()
	return Verify(l.config.Key, head, File{Name: l.config.Path, Reader: io.NewSectionReader(file, 0, size)})
}

// Fingerprint is the key's.
func (l *Log) Fingerprint(token string) string { return l.fingerprints.of(token) }

// Close writes what stands in the journal only, and closes the file. Run has to have
// ended. What cannot be written stays in the journal for the next Open.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	err := l.write()
	l.closed = true
	l.waiting.Stop()
	if l.file != nil {
		err = errors.Join(err, l.file.Sync(), l.file.Close())
		l.file = nil
	}
	return errors.Join(err, l.journal.close())
}
