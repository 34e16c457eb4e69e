// Package netlimit bounds the connections of a listener without shutting anybody
// out.
//
// Every new connection is let in. Where that would be one too many, another makes
// room: the one that has waited longest of those that have shown nothing of worth.
// What is of worth, the server says, with [Enter] and [Hold]. Where all are of worth,
// it is one on which no call is under way, of the caller that has the most; only where
// there is none, the new one is closed. So whoever floods a listener with connections
// pushes out their own.
//
// A connection on which nobody known has called has an allowance of bytes, too: what
// it sends makes work, whatever it is.
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

// Allowance is what a connection may send until [Enter] is called for it: so many bytes,
// and so many more with each second of its age. Zero: as many as it likes.
type Allowance struct{ Bytes, PerSecond int64 }

func (a Allowance) spent(bytes int64, age time.Duration) bool {
	return a.Bytes > 0 && bytes > a.Bytes && float64(bytes-a.Bytes) > float64(a.PerSecond)*age.Seconds()
}

// Listen returns a listener that has at most bound connections of lis open at once,
// each with its allowance. bound is positive.
func Listen(lis net.Listener, bound int, each Allowance) net.Listener {
	return &listener{Listener: lis, bound: bound, allowance: each, callers: map[string]int{}}
}

type listener struct {
	net.Listener
	bound     int
	allowance Allowance

	mu      sync.Mutex
	taken   int            // places: one for each connection, and those that it takes besides
	waiting list.List      // of *conn that are not held and have shown nothing, in the order of their age
	kept    list.List      // of *conn that are not held, and known callers'
	callers map[string]int // kept connections by caller, held or not
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
		if l.admit(c) {
			return c, nil
		}
		_ = raw.Close()
	}
}

// admit takes c in, if there is room.
func (l *listener) admit(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.taken >= l.bound {
		least := l.leastWorth()
		if least == nil {
			return false
		}
		l.end(least)
	}
	l.taken++
	l.place(c)
	return true
}

// weigh has a connection take more places, or fewer. Strangers make room for it, as far
// as they can, and may be in its place.
func (l *listener) weigh(c *conn, places int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.gone {
		return
	}
	c.more += places
	l.taken += places
	for l.taken > l.bound && l.waiting.Len() > 0 {
		l.end(l.waiting.Front().Value.(*conn))
	}
}

// end closes a connection that makes room.
func (l *listener) end(c *conn) {
	l.forget(c)
	_ = c.Conn.Close() // nothing is to be had of it
}

// leastWorth returns the connection that makes room. Nil: none does.
func (l *listener) leastWorth() *conn {
	if first := l.waiting.Front(); first != nil {
		return first.Value.(*conn)
	}
	var least *conn
	for e := l.kept.Front(); e != nil; e = e.Next() {
		c := e.Value.(*conn)
		if c.calls.Load() > 0 {
			continue
		}
		if least == nil || l.callers[c.caller] > l.callers[least.caller] ||
			l.callers[c.caller] == l.callers[least.caller] && c.called.Load() < least.called.Load() {
			least = c
		}
	}
	return least
}

// place puts a connection that is not held among its like.
func (l *listener) place(c *conn) {
	c.among = &l.waiting
	if c.caller != "" {
		c.among = &l.kept
	}
	c.at = c.among.PushBack(c)
}

// displace is for one that is held, or goes.
func (l *listener) displace(c *conn) {
	if c.at != nil {
		c.among.Remove(c.at)
		c.at = nil
	}
}

// forget takes a connection out of the count, once.
func (l *listener) forget(c *conn) {
	if c.gone {
		return
	}
	c.gone = true
	l.taken -= 1 + c.more
	l.displace(c)
	if l.callers[c.caller]--; l.callers[c.caller] <= 0 {
		delete(l.callers, c.caller)
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

	kept   atomic.Bool
	calls  atomic.Int32 // of known callers, under way
	called atomic.Int64 // when the last of them ended, in nanoseconds

	caller string        // who has called first; empty: nobody known
	among  *list.List    // where it is
	at     *list.Element // nil: it is held, or gone
	holds  int
	more   int // places that it takes besides its own
	gone   bool
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

func (c *conn) keep(caller string) {
	l := c.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.gone {
		return
	}
	c.caller = caller
	l.callers[caller]++
	if c.holds == 0 {
		l.displace(c)
		l.place(c)
	}
}

func (c *conn) hold() {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	c.holds++
	c.listener.displace(c)
}

func (c *conn) release() {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	if c.holds--; c.holds == 0 && !c.gone {
		c.listener.place(c)
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

// Enter says that a call of a known caller's begins on a connection, which stays at
// least until [Leave] is called, once. remote is its RemoteAddr, with or without TLS
// around it; that of a connection of another listener is passed over. caller is not
// empty. It is cheap to call again and again.
func Enter(remote net.Addr, caller string) {
	a, ok := remote.(*address)
	if !ok {
		return
	}
	a.conn.calls.Add(1)
	if !a.conn.kept.Load() && a.conn.kept.CompareAndSwap(false, true) {
		a.conn.keep(caller)
	}
}

// Leave says that the call has ended.
func Leave(remote net.Addr) {
	if a, ok := remote.(*address); ok {
		a.conn.called.Store(time.Now().UnixNano())
		a.conn.calls.Add(-1)
	}
}

// Kept reports whether a known caller has called on a connection. remote is as in
// [Enter].
func Kept(remote net.Addr) bool {
	a, ok := remote.(*address)
	return ok && a.conn.kept.Load()
}

// placeBytes is what a place stands for.
const placeBytes = 16 << 10

// Weigh says that a connection holds so many bytes until release is called, which is
// called once. It takes as many more places as that is worth. remote is as in [Enter].
func Weigh(remote net.Addr, bytes int) (release func()) {
	a, ok := remote.(*address)
	places := bytes / placeBytes
	if !ok || places == 0 {
		return func() {}
	}
	a.conn.listener.weigh(a.conn, places)
	return func() { a.conn.listener.weigh(a.conn, -places) }
}

// Drop closes a connection on which nobody known has called. remote is as in [Enter].
func Drop(remote net.Addr) {
	if a, ok := remote.(*address); ok && !a.conn.kept.Load() {
		_ = a.conn.Conn.Close() // nothing is to be had of it
	}
}

// Hold has a connection stay until release is called, which is called once; then it
// is the youngest of its like. remote is as in [Enter].
func Hold(remote net.Addr) (release func()) {
	a, ok := remote.(*address)
	if !ok {
		return func() {}
	}
	a.conn.hold()
	return a.conn.release
}
