//go:build unix

package vaulttest_test

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"google.golang.org/grpc/health/grpc_health_v1"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/netlimit"
)

// Whatever strangers pour over the vault, it answers its callers, and what it takes
// for that stays below these.
const (
	maxFloodedRSS  = 384 // MiB
	maxFloodedHeap = 256 // MiB
	// otherFiles are those of the database, the log, and the readers.
	otherFiles = 100
)

// flood is what strangers do.
type flood struct {
	name string
	// pour begins it, and tells what it was.
	pour func(t *testing.T, f *flooded) (told string)
}

func floods(t *testing.T) []flood {
	idle := scaled(t, 10_000, 2_000)
	slow := scaled(t, 5_000, 1_000)
	full := scaled(t, 400, 100)
	preface := http2.ClientPreface
	return []flood{
		{"full connections of watches", many(grpcListener, full, calls(grpc_health_v1.Health_Watch_FullMethodName, 250, 100, true))},
		{"few watches on each of many connections", many(grpcListener, slow, calls(grpc_health_v1.Health_Watch_FullMethodName, 2, 0, true))},
		{"full connections of calls whose requests do not come", many(grpcListener, full, calls(tokenvaultv1.VaultService_GetCredentials_FullMethodName, 250, 100, false))},
		{"idle connections, gRPC", many(grpcListener, idle, "")},
		{"idle connections, HTTP", many(httpListener, idle, "")},
		{"half a preface", many(grpcListener, slow, preface[:10])},
		{"HTTP/2 and no call", many(grpcListener, slow, preface+frames(func(fr *http2.Framer) { _ = fr.WriteSettings() }))},
		{"half of a call's headers", many(grpcListener, slow, preface+frames(func(fr *http2.Framer) {
			_ = fr.WriteSettings()
			_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: callHeaders()[:20]})
		}))},
		{"calls whose requests do not come", many(grpcListener, slow, preface+frames(func(fr *http2.Framer) {
			_ = fr.WriteSettings()
			_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: callHeaders(), EndHeaders: true})
		}))},
		{"half of a request's headers", many(httpListener, slow, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")},
		{"requests whose bodies do not come", many(httpListener, slow, "POST /v1/connections:confirm HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n{")},
		{"requests whose bodies nearly come", many(httpListener, slow, "POST /v1/connections:confirm HTTP/1.1\r\nHost: x\r\nX-Long: "+strings.Repeat("x", 15_000)+"\r\nContent-Length: 65000\r\n\r\n"+strings.Repeat("{", 64_990))},
		{"headers that do not end, HTTP", endless(httpListener, "GET / HTTP/1.1\r\nHost: x\r\n", strings.Repeat("X-Long: "+strings.Repeat("x", 1000)+"\r\n", 16))},
		{"a header that does not end, HTTP", endless(httpListener, "GET / HTTP/1.1\r\nX-Long: ", strings.Repeat("x", 16<<10))},
		{"requests whose answers are not read", endless(httpListener, "", strings.Repeat("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 100))},
		{"headers that do not end, HTTP/2", endless(grpcListener, opening(1, false), frames(func(fr *http2.Framer) {
			_ = fr.WriteContinuation(1, false, bytes.Repeat([]byte("\x00\x01x\x7f\x81\x06"+strings.Repeat("x", 261)), 60))
		}))},
		{"empty CONTINUATION", endless(grpcListener, opening(1, false), frames(func(fr *http2.Framer) {
			for range 1000 {
				_ = fr.WriteContinuation(1, false, nil)
			}
		}))},
		{"empty DATA", endless(grpcListener, opening(1, true), repeated(1000, func(fr *http2.Framer) { _ = fr.WriteData(1, false, nil) }))},
		{"PING", endless(grpcListener, opening(1, true), repeated(1000, func(fr *http2.Framer) { _ = fr.WritePing(false, [8]byte{}) }))},
		{"SETTINGS", endless(grpcListener, opening(1, true), repeated(1000, func(fr *http2.Framer) { _ = fr.WriteSettings() }))},
		{"changes of the window", endless(grpcListener, opening(1, true), repeated(1000, func(fr *http2.Framer) {
			_ = fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
		}))},
		{"PRIORITY", endless(grpcListener, opening(1, true), repeated(1000, func(fr *http2.Framer) { _ = fr.WritePriority(3, http2.PriorityParam{Weight: 1}) }))},
		{"frames of no kind", endless(grpcListener, opening(1, true), repeated(1000, func(fr *http2.Framer) { _ = fr.WriteRawFrame(0xbe, 0, 0, nil) }))},
		{"rapid reset", resets(true)},
		{"rapid reset by a client that does not read", resets(false)},
	}
}

func TestFloodsKeepNobodyOut(t *testing.T) {
	binary := buildVault(t)
	for _, flood := range floods(t) {
		t.Run(flood.name, func(t *testing.T) {
			f := startFlooded(t, binary)
			rs := f.startReaders()
			rs.wait(t, 5)
			told := flood.pour(t, f)
			rs.wait(t, 10)
			rs.stop()
			t.Log(told)
			t.Log(rs)
			f.check(t)
			closeAll(f.poured)
			f.waitFiles(otherFiles)
		})
	}
}

// check wants the vault to have taken little.
func (f *flooded) check(t *testing.T) {
	t.Helper()
	got, known := f.look()
	if !known {
		t.Log("this system does not tell what a process takes: nothing of that was checked")
		return
	}
	t.Logf("peak of RSS %d MiB, of the heap %d MiB; %d files", got.rss, got.heap, got.files)
	if got.rss > maxFloodedRSS || got.heap > maxFloodedHeap {
		t.Errorf("RSS %d MiB and heap %d MiB, want at most %d and %d", got.rss, got.heap, maxFloodedRSS, maxFloodedHeap)
	}
	if most := 2*netlimit.Bound() + otherFiles; got.files > most {
		t.Errorf("%d files, want at most %d", got.files, most)
	}
}

// scaled is how many connections a flood has: fewer with -short, and where this
// process may not have as many.
func scaled(t *testing.T, n, short int) int {
	t.Helper()
	if testing.Short() {
		n = short
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if most := int(min(limit.Cur, 1<<20)) - 500; n > most {
		t.Logf("this process may have %d files open: %d connections in place of %d", limit.Cur, most, n)
		n = most
	}
	return n
}

// The vault's listeners.
func grpcListener(f *flooded) string { return f.grpc }
func httpListener(f *flooded) string { return f.http }

// many opens n connections, says the same on each, and then nothing.
func many(listener func(*flooded) string, n int, say string) func(*testing.T, *flooded) string {
	return func(t *testing.T, f *flooded) string {
		f.poured = openMany(t, listener(f), n, []byte(say))
		return fmt.Sprintf("%d connections", len(f.poured))
	}
}

// pourers is how many connections at once a flood has that is not of connections.
const pourers = 16

// How long such a flood lasts; with -short, a quarter of it.
const (
	pourTime  = 300 * time.Millisecond
	resetTime = time.Second // it takes a while for what it costs to add up
)

// poured counts.
type poured struct{ connections, bytes, ended atomic.Int64 }

func (p *poured) String() string {
	return fmt.Sprintf("%d connections, of which the vault ended %d; %d KiB", p.connections.Load(), p.ended.Load(), p.bytes.Load()>>10)
}

// pour has several clients write as much as they can, on a new connection whenever
// the vault has had enough of the old one.
func pour(t *testing.T, address string, length time.Duration, reads bool, write func(io.Writer) error) *poured {
	var done sync.WaitGroup
	if testing.Short() {
		length /= 4
	}
	p, until := &poured{}, time.Now().Add(length)
	for range pourers {
		done.Go(func() {
			for time.Now().Before(until) {
				conn, err := net.DialTimeout("tcp", address, patience)
				if err != nil {
					t.Errorf("connection %d: %v", p.connections.Load(), err)
					return
				}
				p.connections.Add(1)
				_ = conn.(*net.TCPConn).SetLinger(0)
				_ = conn.SetDeadline(until)
				if reads {
					go func() { _, _ = io.Copy(io.Discard, conn) }()
				}
				if err := write(counted{conn, &p.bytes}); !errors.Is(err, os.ErrDeadlineExceeded) {
					p.ended.Add(1)
				}
				_ = conn.Close()
			}
		})
	}
	done.Wait()
	return p
}

// counted counts the bytes that are written.
type counted struct {
	io.Writer
	bytes *atomic.Int64
}

func (c counted) Write(b []byte) (int, error) {
	n, err := c.Writer.Write(b)
	c.bytes.Add(int64(n))
	return n, err
}

// endless says something, and then something else again and again, without reading.
func endless(listener func(*flooded) string, begin, again string) func(*testing.T, *flooded) string {
	return func(t *testing.T, f *flooded) string {
		return pour(t, listener(f), pourTime, false, func(w io.Writer) error {
			_, err := io.WriteString(w, begin)
			for err == nil {
				_, err = io.WriteString(w, again)
			}
			return err
		}).String()
	}
}

// resets begins calls and takes each back at once (CVE-2023-44487).
func resets(reads bool) func(*testing.T, *flooded) string {
	return func(t *testing.T, f *flooded) string {
		var calls atomic.Int64
		p := pour(t, f.grpc, resetTime, reads, func(w io.Writer) error {
			out := bufio.NewWriter(w)
			_, err := out.WriteString(http2.ClientPreface)
			fr := http2.NewFramer(out, nil)
			err = cmp.Or(err, fr.WriteSettings())
			for id := uint32(1); err == nil; id += 2 {
				err = errors.Join(
					fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: callHeaders(), EndHeaders: true}),
					fr.WriteRSTStream(id, http2.ErrCodeCancel),
				)
				calls.Add(1)
			}
			return err
		})
		return fmt.Sprintf("%v; %d calls begun and taken back", p, calls.Load())
	}
}

// callHeaders are those of a call by nobody.
func callHeaders() []byte {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, field := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", tokenvaultv1.VaultService_GetCredentials_FullMethodName}, {":authority", "x"},
		{"content-type", "application/grpc"}, {"te", "trailers"},
	} {
		_ = enc.WriteField(hpack.HeaderField{Name: field[0], Value: field[1], Sensitive: true}) // not into the table: the block can be sent again
	}
	return block.Bytes()
}

// calls begins n calls by nobody, with more headers than they need, which, but for the
// first call's, cost a byte each to send (RFC 7541, section 6.1).
func calls(method string, n, headers int, request bool) string {
	return http2.ClientPreface + frames(func(fr *http2.Framer) {
		_ = fr.WriteSettings()
		var block bytes.Buffer
		enc := hpack.NewEncoder(&block)
		for i := range n {
			block.Reset()
			for _, field := range [][2]string{
				{":method", "POST"}, {":scheme", "http"}, {":path", method}, {":authority", "x"}, {"content-type", "application/grpc"}, {"te", "trailers"},
			} {
				_ = enc.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
			}
			for j := range headers {
				_ = enc.WriteField(hpack.HeaderField{Name: fmt.Sprintf("x-%d", j), Value: "x"})
			}
			id := uint32(2*i + 1)
			_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true})
			if request {
				_ = fr.WriteData(id, true, make([]byte, 5)) // a message of no bytes
			}
		}
	})
}

// frames returns what a framer writes.
func frames(write func(*http2.Framer)) string {
	var out bytes.Buffer
	fr := http2.NewFramer(&out, nil)
	fr.AllowIllegalWrites = true
	write(fr)
	return out.String()
}

func repeated(n int, write func(*http2.Framer)) string { return strings.Repeat(frames(write), n) }

// opening is the beginning of a connection with one call, whose headers end or do
// not.
func opening(stream uint32, ended bool) string {
	return http2.ClientPreface + frames(func(fr *http2.Framer) {
		_ = fr.WriteSettings()
		_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: callHeaders(), EndHeaders: ended})
	})
}
