package netlimit

import (
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net"
	"net/netip"
	"testing"
	"time"
)

// pair is both ends of a connection.
type pair struct{ client, server net.Conn }

// limited returns a function that opens a connection to a limited listener.
func limited(t *testing.T, bound int) (connect func() pair, lis net.Listener) {
	t.Helper()
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	lis = Listen(raw, bound, Allowance{Bytes: 1000})
	accepted := make(chan net.Conn)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := lis.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	t.Cleanup(func() {
		_ = lis.Close()
		<-ended
	})
	return func() pair {
		t.Helper()
		client, err := net.Dial("tcp", lis.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close() })
		select {
		case server := <-accepted:
			t.Cleanup(func() { _ = server.Close() })
			return pair{client, server}
		case <-closed(client):
			return pair{client: client}
		}
	}, lis
}

// closed returns a channel that is closed when the other end closes a connection.
func closed(c net.Conn) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(io.Discard, c)
	}()
	return done
}

// wantOpen wants bytes to go through.
func wantOpen(t *testing.T, name string, p pair) {
	t.Helper()
	if p.server == nil {
		t.Errorf("%s: was not let in", name)
		return
	}
	if _, err := p.client.Write([]byte("x")); err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	_ = p.server.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := p.server.Read(make([]byte, 1)); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

// call makes a call that a known caller may.
func call(caller string, p pair) {
	Enter(p.server.RemoteAddr(), caller)
	Leave(p.server.RemoteAddr())
}

func wantClosed(t *testing.T, name string, p pair) {
	t.Helper()
	_ = p.client.SetReadDeadline(time.Now().Add(30 * time.Second))
	_, err := p.client.Read(make([]byte, 1))
	if timeout := net.Error(nil); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("%s: is open still: %v", name, err)
	}
}

func TestTheOldestThatHasShownNothingMakesRoom(t *testing.T) {
	connect, _ := limited(t, 3)
	first, second, third := connect(), connect(), connect()
	call("a", first)
	fourth := connect()
	wantClosed(t, "the second", second)
	wantOpen(t, "the first", first)
	wantOpen(t, "the third", third)
	wantOpen(t, "the fourth", fourth)
}

func TestAHeldConnectionStaysUntilItIsReleased(t *testing.T) {
	connect, _ := limited(t, 2)
	first, second := connect(), connect()
	release := Hold(first.server.RemoteAddr())
	again := Hold(first.server.RemoteAddr())
	third := connect()
	wantClosed(t, "the second", second)
	release()
	fourth := connect()
	wantClosed(t, "the third", third)
	wantOpen(t, "the first", first)
	again()
	fifth := connect()
	wantClosed(t, "the fourth, older now than the one that was released", fourth)
	wantOpen(t, "the first", first)
	connect()
	wantClosed(t, "the first", first)
	wantOpen(t, "the fifth", fifth)
}

func TestWhereAllAreOfWorthTheOneThatWasCalledOnLongestAgoMakesRoom(t *testing.T) {
	connect, _ := limited(t, 3)
	first, second, third := connect(), connect(), connect()
	for _, p := range []pair{first, second, third, first} {
		call("a", p)
	}
	fourth := connect()
	wantClosed(t, "the second", second)
	call("a", fourth)
	fifth := connect()
	wantClosed(t, "the third", third)
	sixth := connect()
	wantClosed(t, "the fifth, which has shown nothing", fifth)
	wantOpen(t, "the first", first)
	wantOpen(t, "the fourth", fourth)
	wantOpen(t, "the sixth", sixth)
}

func TestACallerPushesOutItsOwnConnections(t *testing.T) {
	connect, _ := limited(t, 4)
	modest := connect()
	call("modest", modest)
	var greedy []pair
	for range 3 {
		p := connect()
		call("greedy", p)
		greedy = append(greedy, p)
	}
	for range 10 {
		p := connect()
		if p.server == nil {
			t.Fatal("a new connection was not let in")
		}
		call("greedy", p)
	}
	wantClosed(t, "the first of the greedy one's", greedy[0])
	wantOpen(t, "the other's", modest)
	another := connect()
	call("another", another)
	wantOpen(t, "one of a third", another)
}

func TestAConnectionWithACallUnderWayStays(t *testing.T) {
	connect, _ := limited(t, 2)
	first, second := connect(), connect()
	for _, p := range []pair{first, second} {
		Enter(p.server.RemoteAddr(), "a")
	}
	wantClosed(t, "the third, where all are at work", connect())
	Leave(second.server.RemoteAddr())
	fourth := connect()
	wantClosed(t, "the second", second)
	if err := first.server.Close(); err != nil {
		t.Fatal(err)
	}
	wantOpen(t, "the fifth", connect())
	wantOpen(t, "the fourth", fourth)
}

func TestAConnectionThatIsKeptWhileItIsHeldIsCountedOnce(t *testing.T) {
	connect, lis := limited(t, 2)
	first := connect()
	release := Hold(first.server.RemoteAddr())
	call("a", first)
	call("a", first)
	release()
	l := lis.(*listener)
	if l.callers["a"] != 1 || l.kept.Len() != 1 || l.waiting.Len() != 0 {
		t.Errorf("%v, %d kept and %d waiting, want one and none", l.callers, l.kept.Len(), l.waiting.Len())
	}
	_ = first.server.Close()
	call("a", first)
	if len(l.callers) != 0 || l.kept.Len() != 0 {
		t.Errorf("%v and %d kept are left", l.callers, l.kept.Len())
	}
}

func TestAConnectionThatHoldsMuchTakesMorePlaces(t *testing.T) {
	connect, lis := limited(t, 4)
	first, second, third, fourth := connect(), connect(), connect(), connect()
	release := Weigh(fourth.server.RemoteAddr(), 3*placeBytes-1)
	wantClosed(t, "the first", first)
	wantClosed(t, "the second", second)
	wantOpen(t, "the third", third)
	release()
	connect()
	connect()
	wantOpen(t, "the fourth", fourth)
	Weigh(fourth.server.RemoteAddr(), 2*placeBytes)
	Weigh(fourth.server.RemoteAddr(), 2*placeBytes) // more than there are: it is the oldest by now
	wantClosed(t, "the fourth", fourth)
	_ = fourth.server.Close()
	if l := lis.(*listener); l.taken != l.waiting.Len() {
		t.Errorf("%d places are taken by %d connections", l.taken, l.waiting.Len())
	}
}

func TestADroppedConnectionIsClosed(t *testing.T) {
	connect, _ := limited(t, 2)
	stranger, known := connect(), connect()
	call("a", known)
	for _, p := range []pair{stranger, known} {
		Drop(p.server.RemoteAddr())
	}
	wantClosed(t, "a stranger's", stranger)
	wantOpen(t, "a known caller's", known)
}

func TestAConnectionIsCountedOnce(t *testing.T) {
	connect, lis := limited(t, 2)
	first := connect()
	release := Hold(first.server.RemoteAddr())
	for range 3 {
		_ = first.server.Close()
		Hold(first.server.RemoteAddr())()
	}
	release()
	second, third := connect(), connect()
	wantOpen(t, "the second", second)
	wantOpen(t, "the third", third)
	connect()
	wantClosed(t, "the second", second)
	_ = second.server.Close()
	if l := lis.(*listener); l.taken != 2 || l.waiting.Len() != 2 {
		t.Errorf("%d open and %d waiting, want 2 and 2", l.taken, l.waiting.Len())
	}
}

func TestAConnectionMaySendItsAllowanceUntilItIsKept(t *testing.T) {
	connect, _ := limited(t, 2)
	stranger, known := connect(), connect()
	call("a", known)
	for _, p := range []pair{stranger, known} {
		if _, err := p.client.Write(make([]byte, 1001)); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := io.ReadFull(stranger.server, make([]byte, 1001)); !errors.Is(err, errSpent) {
		t.Errorf("a stranger sent %d bytes: %v", n, err)
	}
	if n, err := io.ReadFull(known.server, make([]byte, 1001)); err != nil {
		t.Errorf("one that is kept sent %d bytes: %v", n, err)
	}
}

func TestAnAllowanceGrowsWithAge(t *testing.T) {
	for _, row := range []struct {
		allowance Allowance
		bytes     int64
		age       time.Duration
		want      bool
	}{
		{Allowance{}, math.MaxInt64, 0, false},
		{Allowance{Bytes: 100}, 100, 0, false},
		{Allowance{Bytes: 100}, 101, time.Hour, true},
		{Allowance{Bytes: 100, PerSecond: 10}, 150, 5 * time.Second, false},
		{Allowance{Bytes: 100, PerSecond: 10}, 151, 5 * time.Second, true},
		{Allowance{Bytes: 100, PerSecond: 10}, math.MaxInt64, 1000 * time.Hour, true},
	} {
		if got := row.allowance.spent(row.bytes, row.age); got != row.want {
			t.Errorf("%+v: %d bytes in %v: spent is %v, want %v", row.allowance, row.bytes, row.age, got, row.want)
		}
	}
}

func TestAnAddressReadsAsItDid(t *testing.T) {
	connect, _ := limited(t, 1)
	p := connect()
	remote := p.server.RemoteAddr()
	if got, want := remote.String(), p.client.LocalAddr().String(); got != want || remote.Network() != "tcp" {
		t.Errorf("address = %s %q, want tcp %q", remote.Network(), got, want)
	}
	if _, err := netip.ParseAddrPort(remote.String()); err != nil {
		t.Error(err)
	}
	if n := testing.AllocsPerRun(100, func() { _ = remote.String() }); n != 0 {
		t.Errorf("reading it again takes %v allocations, want none", n)
	}
}

func TestAnAddressLeadsBackThroughTLS(t *testing.T) {
	connect, _ := limited(t, 1)
	p := connect()
	Enter(tls.Server(p.server, &tls.Config{}).RemoteAddr(), "a")
	wantClosed(t, "the second", connect())
	wantOpen(t, "the first", p)
}

func TestAddressesOfOthersArePassedOver(t *testing.T) {
	for _, other := range []net.Addr{nil, &net.TCPAddr{}} {
		Enter(other, "a")
		Leave(other)
		Drop(other)
		Weigh(other, 1<<20)()
	}
	Hold(nil)()
	Hold(&net.TCPAddr{})()
}

func TestCallingAgainCostsNothing(t *testing.T) {
	connect, _ := limited(t, 1)
	remote := connect().server.RemoteAddr()
	if n := testing.AllocsPerRun(100, func() { Enter(remote, "a"); Leave(remote) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func TestAServerCanEndItsSideFirst(t *testing.T) {
	connect, _ := limited(t, 1)
	p := connect()
	if err := p.server.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the client reads %v, want the end", err)
	}
	wantOpen(t, "the other way", p)
}

func TestTheBoundLeavesFilesToOthers(t *testing.T) {
	for files, want := range map[uint64]int{0: 1, 256: 96, 1024: 384, 20_000: 4096, 1 << 20: 4096, math.MaxUint64: 4096} {
		if got := boundOf(files); got != want {
			t.Errorf("%d files: %d connections, want %d", files, got, want)
		}
	}
	if got := Bound(); got < 1 || got > most {
		t.Errorf("Bound() = %d", got)
	}
}
