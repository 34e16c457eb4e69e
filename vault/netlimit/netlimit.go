// Package netlimit bounds the connections of a listener without shutting anybody
// out.
//
// Every new connection is let in. Where that would be one too many, another makes
// room: the one that has waited longest of those that have shown nothing of worth.
// What is of worth, the server says, with [Keep] and [Hold]; where every connection
// is, the new one is closed. So whoever floods a listener with connections that do
// nothing pushes out their own.
//
// A connection that is not kept has an allowance of bytes, too: what it sends makes
// work, whatever it is.
package netlimit

import (
	"container/list"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// most is the bound where files are plenty. A connection on which nothing has been
// said costs some ten KiB.
const most = 4096

// Allowance is what a connection may send until [Keep] is called for it: so many bytes,
// and so many more with each second of its age. Zero: as many as it likes.
type Allowance struct{ Bytes, PerSecond int64 }

func (a Allowance) spent(bytes int64, age time.Duration) bool {
	return a.Bytes > 0 && bytes > a.Bytes && float64(bytes-a.Bytes) > float64(a.PerSecond)*age.Seconds()
}

// Listen returns a listener that has at most bound connections of lis open at once,
// each with its allowance. bound is positive.
func Listen(lis net.Listener, bound int, each Allowance) net.Listener {
	return &listener{Listener: lis, bound: bound, allowance: each}
}

type listener struct {
	net.Listener
	bound     int
	allowance Allowance

	mu      sync.Mutex
	open    int
	waiting list.List // of *conn that are not held, in the order of their age
}

// Accept waits for a connection that there is room for.
func (l *listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &conn{Conn: raw, listener: l, since: time.Now()}
		c.remote = &address{Addr: raw.RemoteAddr(), text: raw.RemoteAddr().String(), conn: c}
		oldest, ok := l.admit(c)
		if oldest != nil {
			_ = oldest.Conn.Close() // nothing is to be had of it
		}
		if ok {
			return c, nil
		}
		_ = raw.Close()
	}
}

// admit takes c in, and returns the connection that has to go for it.
func (l *listener) admit(c *conn) (oldest *conn, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= l.bound {
		first := l.waiting.Front()
		if first == nil {
			return nil, false
		}
		oldest = first.Value.(*conn)
		l.forget(oldest)
	}
	l.open++
	c.place = l.waiting.PushBack(c)
	return oldest, true
}

// forget takes a connection out of the count, once.
func (l *listener) forget(c *conn) {
	if c.gone {
		return
	}
	c.gone = true
	l.open--
	if c.place != nil {
		l.waiting.Remove(c.place)
		c.place = nil
	}
}

// conn is a connection that is counted. The last of its fields are the listener's to
// guard.
type conn struct {
	net.Conn
	listener *listener
	remote   *address
	since    time.Time
	received atomic.Int64 // until it is kept

	kept atomic.Bool

	place *list.Element // among those that wait; nil: it is held
	holds int
	gone  bool
}

// errSpent ends a connection that sends more than a stranger has to.
var errSpent = errors.New("netlimit: more has come than is allowed on a connection that has shown nothing of worth")

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.kept.Load() {
		return n, err
	}
	if c.listener.allowance.spent(c.received.Add(int64(n)), time.Since(c.since)) {
		return 0, errSpent
	}
	return n, err
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.listener.mu.Lock()
	c.listener.forget(c)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}

// RemoteAddr returns an address that leads back to the connection.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// CloseWrite lets a server end its side first, so that its last words arrive.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

func (c *conn) hold() {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	c.holds++
	if c.place != nil {
		c.listener.waiting.Remove(c.place)
		c.place = nil
	}
}

func (c *conn) release() {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	if c.holds--; c.holds == 0 && !c.gone {
		c.place = c.listener.waiting.PushBack(c)
	}
}

// address is what it wraps, and knows its connection.
type address struct {
	net.Addr
	text string // what String returns: it is on record with each call
	conn *conn
}

// String implements net.Addr.
func (a *address) String() string { return a.text }

// Keep has a connection stay until it ends by itself. remote is its RemoteAddr, with
// or without TLS around it; that of a connection of another listener is passed over.
// It is cheap to call again and again.
func Keep(remote net.Addr) {
	if a, ok := remote.(*address); ok && !a.conn.kept.Load() && a.conn.kept.CompareAndSwap(false, true) {
		a.conn.hold()
	}
}

// Kept reports whether [Keep] was called for a connection. remote is as there.
func Kept(remote net.Addr) bool {
	a, ok := remote.(*address)
	return ok && a.conn.kept.Load()
}

// Drop closes a connection on which nobody known has called. remote is as in [Keep].
func Drop(remote net.Addr) {
	if a, ok := remote.(*address); ok && !a.conn.kept.Load() {
		_ = a.conn.Conn.Close() // nothing is to be had of it
	}
}

// Hold has a connection stay until release is called, which is called once; then it
// is the youngest of those that have shown nothing. remote is as in [Keep].
func Hold(remote net.Addr) (release func()) {
	a, ok := remote.(*address)
	if !ok {
		return func() {}
	}
	a.conn.hold()
	return a.conn.release
}
