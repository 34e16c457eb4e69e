package provider

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// liar is a name server that tells every name another address from one time to the
// next.
type liar struct {
	mu      sync.Mutex
	answers [][]netip.Addr // one after the other; the last one stays
	asked   map[uint16]int // by type
}

// Types of DNS records.
const (
	typeA    = 1
	typeAAAA = 28
)

// resolver returns a resolver that asks the liar, in this process.
func (l *liar) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe() // not a packet's: each message has its length before it
		go func() {
			defer theirs.Close()
			var size [2]byte
			if _, err := io.ReadFull(theirs, size[:]); err != nil {
				return
			}
			query := make([]byte, binary.BigEndian.Uint16(size[:]))
			if _, err := io.ReadFull(theirs, query); err != nil {
				return
			}
			reply := l.reply(query)
			_, _ = theirs.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
		}()
		return ours, nil
	}}
}

// reply answers a query (RFC 1035, section 4.1).
func (l *liar) reply(query []byte) []byte {
	end := 12
	for query[end] != 0 {
		end += int(query[end]) + 1
	}
	end += 5 // the name's end, type and class
	kind := binary.BigEndian.Uint16(query[end-4:])
	l.mu.Lock()
	answer := l.answers[min(l.asked[kind], len(l.answers)-1)]
	l.asked[kind]++
	l.mu.Unlock()
	out := append(slices.Clone(query[:2]), 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0)
	out = append(out, query[12:end]...)
	for _, addr := range answer {
		if addr.Is4() != (kind == typeA) {
			continue
		}
		out[7]++ // answers
		out = append(out, 0xc0, 12, 0, byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(len(addr.AsSlice())))
		out = append(out, addr.AsSlice()...)
	}
	return out
}

// TestANameThatChangesItsAddressLeadsNowhere is DNS rebinding: whoever looks at an
// address first and dials afterwards is told a public one for the look.
func TestANameThatChangesItsAddressLeadsNowhere(t *testing.T) {
	const public = "8.8.8.8"
	for _, row := range []struct {
		name    string
		answers [][]string
	}{
		{"public, then loopback", [][]string{{public}, {"127.0.0.1"}}},
		{"public and loopback at once", [][]string{{public, "127.0.0.1"}}},
		{"loopback and public at once", [][]string{{"127.0.0.1", public}}},
		{"public, then nothing, then loopback", [][]string{{public}, {}, {"127.0.0.1"}}},
		{"unspecified", [][]string{{"0.0.0.0"}}},
		{"loopback of IPv6", [][]string{{"::1"}}},
		{"loopback in IPv6", [][]string{{"::ffff:127.0.0.1"}}},
		{"loopback behind NAT64", [][]string{{"64:ff9b::7f00:1"}}},
		{"cloud metadata", [][]string{{public}, {"169.254.169.254", "fd00:ec2::254"}}},
		{"a private network", [][]string{{"10.0.0.1"}, {"192.168.0.1"}, {"172.16.0.1"}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			trap, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var trapped atomic.Int64
			done := make(chan struct{})
			go func() {
				defer close(done)
				for conn, err := trap.Accept(); err == nil; conn, err = trap.Accept() {
					trapped.Add(1)
					_ = conn.Close()
				}
			}()
			l := &liar{asked: map[uint16]int{}}
			for _, answer := range row.answers {
				var addrs []netip.Addr
				for _, text := range answer {
					addrs = append(addrs, netip.MustParseAddr(text))
				}
				l.answers = append(l.answers, addrs)
			}
			dialer := newDialer(false)
			dialer.Resolver = l.resolver()
			look, dialled := dialer.ControlContext, map[string]bool{}
			dialer.ControlContext = func(ctx context.Context, network, address string, c syscall.RawConn) error {
				if err := look(ctx, network, address, c); err != nil {
					return err
				}
				host, _, _ := net.SplitHostPort(address)
				dialled[host] = true
				return errors.New("nothing leaves this machine")
			}
			_, port, _ := net.SplitHostPort(trap.Addr().String())
			p, err := New(Config{
				Name: "acme", ClientID: "id", Transport: newTransport(dialer),
				Definition: Definition{AuthorizeURL: "https://rebind.example/a", TokenURL: "https://rebind.example:" + port + "/token", ClientAuth: ClientAuthNone},
			})
			if err != nil {
				t.Fatal(err)
			}
			for range 4 {
				if _, err := p.Refresh(t.Context(), secret.New("rt")); err == nil {
					t.Error("the provider has answered")
				}
			}
			if err := trap.Close(); err != nil {
				t.Error(err)
			}
			<-done
			delete(dialled, public)
			if len(dialled) > 0 || trapped.Load() > 0 {
				t.Errorf("dialled %v; %d connections reached the trap", dialled, trapped.Load())
			}
			if l.asked[typeA] == 0 {
				t.Error("nobody has asked for the name's address: this test shows nothing")
			}
		})
	}
}

// slowly is a transport to a server that begins its answer so, and then sends a byte
// every ten seconds, for ever.
func slowly(beginning string) *http.Transport {
	return &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			req, err := http.ReadRequest(bufio.NewReader(theirs))
			if err == nil {
				_, err = io.Copy(io.Discard, req.Body)
			}
			if err == nil {
				_, err = io.WriteString(theirs, beginning)
			}
			for err == nil {
				time.Sleep(10 * time.Second) // of the bubble
				_, err = io.WriteString(theirs, " ")
			}
		}()
		return ours, nil
	}}
}

func TestAnAnswerThatDoesNotEndIsCutOff(t *testing.T) {
	for _, row := range []struct{ name, beginning string }{
		{"a slow body", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"},
		{"slow headers", "HTTP/1.1 200 OK\r\nX-Slow: "},
		{"slow hints", "HTTP/1.1 103 Early Hints\r\n\r\n"},
		{"a slow error", "HTTP/1.1 500 Oh\r\n\r\n"},
		{"another protocol", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: slow\r\n\r\n"},
		{"nothing", ""},
	} {
		for name, ask := range map[string]func(ctx context.Context, p *Provider) error{
			"code": func(ctx context.Context, p *Provider) error {
				_, err := p.Exchange(ctx, secret.New("c"), NewVerifier())
				return err
			},
			"refresh": func(ctx context.Context, p *Provider) error {
				_, err := p.Refresh(ctx, secret.New("rt"))
				return err
			},
			"look-up": func(ctx context.Context, p *Provider) error {
				_, err := p.Capture(ctx, secret.New("at"), Captured{})
				return err
			},
			"revocation": func(ctx context.Context, p *Provider) error {
				return p.Revoke(ctx, Token{AccessToken: secret.New("at")})
			},
			"device": func(ctx context.Context, p *Provider) error {
				_, err := p.AuthorizeDevice(ctx, nil)
				return err
			},
			"discovery": func(ctx context.Context, p *Provider) error {
				_, err := p.discovery.lookUp(ctx, "http://127.0.0.1")
				return err
			},
		} {
			t.Run(row.name+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					transport := slowly(row.beginning)
					p, err := New(Config{Name: "acme", ClientID: "id", Transport: transport, Definition: Definition{
						AuthorizeURL: "http://127.0.0.1/a", TokenURL: "http://127.0.0.1/token", RevokeURL: "http://127.0.0.1/revoke", DeviceURL: "http://127.0.0.1/device",
						AfterConnect: &AfterConnect{URL: "http://127.0.0.1/me"}, ClientAuth: ClientAuthNone, AllowPrivateNetwork: true,
					}})
					if err != nil {
						t.Fatal(err)
					}
					began := time.Now()
					if err := ask(t.Context(), p); err == nil && !(name == "revocation" && row.name == "a slow body") { // whose status says it all
						t.Error("the answer was taken for one")
					}
					if took := time.Since(began); took > answerTime {
						t.Errorf("the vault has waited for %v, want at most %v", took, answerTime)
					}
					time.Sleep(20 * time.Second) // the server notices that the vault has hung up; else synctest says so
				})
			})
		}
	}
}
