package audit

import "time"

// Kill has the log do nothing more, as if its process had been killed.
func (l *Log) Kill() { l.mu.Lock() }

// Break closes the file behind the log's back, so that the next write to it fails.
func (l *Log) Break() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Close()
}

// Hold has lines stand in the journal until they are asked for.
func (l *Log) Hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting.Stop()
	l.waiting = time.NewTimer(0)
}

// Where the parts of a journal are.
const (
	LengthAt = lengthAt
	BeforeAt = beforeAt
	LinesAt  = linesAt
)
