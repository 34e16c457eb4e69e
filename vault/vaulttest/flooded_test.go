//go:build unix

package vaulttest_test

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/keyring"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// What is flooded is the real binary, in a process of its own: its memory and its
// files are its alone.

// flooded is a running vault that holds one API key.
type flooded struct {
	t          *testing.T
	cmd        *exec.Cmd
	grpc, http string // addresses
	token      secret.String
	// poured are connections that a flood has left open.
	poured []net.Conn

	mu   sync.Mutex
	log  strings.Builder
	heap int64 // its peak in MiB, as the garbage collector saw it
}

const floodedConfig = `listen: {grpc: 127.0.0.1:0, http: 127.0.0.1:0}
public_url: http://127.0.0.1:8080
storage: {bolt: {path: vault.db}}
master_key: file:master.key
binding: link
providers: {mailchimp: {}}
audit: {path: audit.jsonl}
callers:
  - {name: reader, token_sha256: %q, rpcs: ["*"], providers: ["*"], subjects: ["*"]}
`

// buildVault returns the path of a binary.
func buildVault(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "tokenvault")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/tokenvault/tokenvault/cmd/tokenvault").CombinedOutput(); err != nil {
		t.Fatalf("build the vault: %v\n%s", err, out)
	}
	return binary
}

// startFlooded runs a vault for the length of the test.
func startFlooded(t *testing.T, binary string) *flooded {
	t.Helper()
	dir := t.TempDir()
	f := &flooded{t: t, token: access.GenerateToken()}
	for name, text := range map[string]string{
		"master.key": keyring.GenerateMasterKey().Reveal(), "tokenvault.yaml": fmt.Sprintf(floodedConfig, access.HashToken(f.token).String()),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f.cmd = exec.Command(binary, "serve", "--config", filepath.Join(dir, "tokenvault.yaml"))
	f.cmd.Env = append(os.Environ(), "GODEBUG=gctrace=1")
	stderr, err := f.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	serving, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		f.follow(bufio.NewScanner(stderr), serving)
		ended <- f.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = f.cmd.Process.Signal(os.Interrupt)
		if err := <-ended; err != nil {
			t.Errorf("the vault ended with %v", err)
		}
		if t.Failed() {
			t.Log(f.log.String())
		}
	})
	select {
	case <-serving:
	case <-time.After(patience):
		t.Fatal("the vault does not serve")
	}
	f.setKey()
	return f
}

// follow reads what the vault logs.
func (f *flooded) follow(lines *bufio.Scanner, serving chan<- struct{}) {
	addresses := regexp.MustCompile(`msg=serving grpc=(\S+) http=(\S+)`)
	collected := regexp.MustCompile(`^gc \d+ .* \d+->(\d+)->\d+ MB`)
	for lines.Scan() {
		f.mu.Lock()
		if m := collected.FindStringSubmatch(lines.Text()); m != nil {
			heap, _ := strconv.ParseInt(m[1], 10, 64)
			f.heap = max(f.heap, heap)
		} else if f.log.Len() < 64<<10 {
			f.log.WriteString(lines.Text() + "\n")
		}
		f.mu.Unlock()
		if m := addresses.FindStringSubmatch(lines.Text()); m != nil {
			f.grpc, f.http = m[1], m[2]
			close(serving)
		}
	}
}

// dial connects to the vault as a caller does that does not give up.
func (f *flooded) dial() *grpc.ClientConn {
	f.t.Helper()
	conn, err := grpc.NewClient(f.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.5, MaxDelay: time.Second}, MinConnectTimeout: patience,
		}))
	if err != nil {
		f.t.Fatal(err)
	}
	return conn
}

const floodedKey = "0123456789abcdef0123456789abcdef-us6"

func (f *flooded) setKey() {
	f.t.Helper()
	conn := f.dial()
	defer conn.Close()
	ctx := metadata.AppendToOutgoingContext(f.t.Context(), "authorization", "Bearer "+f.token.Reveal())
	_, err := tokenvaultv1.NewVaultServiceClient(conn).SetAPIKey(ctx, &tokenvaultv1.SetAPIKeyRequest{Subject: "alice", Provider: "mailchimp", ApiKey: floodedKey})
	if err != nil {
		f.t.Fatal(err)
	}
}

// read gets credentials over a connection.
func (f *flooded) read(ctx context.Context, conn *grpc.ClientConn) error {
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+f.token.Reveal()), patience)
	defer cancel()
	resp, err := tokenvaultv1.NewVaultServiceClient(conn).GetCredentials(ctx, &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "mailchimp"}, grpc.WaitForReady(true))
	if err == nil && resp.GetApiKey().GetKey() != floodedKey {
		err = fmt.Errorf("credentials = %v", resp)
	}
	return err
}

// reader is somebody who wants answers while there is a flood.
type reader struct {
	name string
	// ask asks once. Of several attempts, as a program makes them, the last counts.
	ask     func(context.Context) error
	answers atomic.Int64
	again   int // attempts that failed and were made again
	took    []time.Duration
}

// readers ask until stop is called.
type readers struct {
	all  []*reader
	stop func()
}

// startReaders starts a reader with a connection of old, one who dials each time,
// and a browser that does.
func (f *flooded) startReaders() *readers {
	f.t.Helper()
	old := f.dial()
	if err := f.read(f.t.Context(), old); err != nil {
		f.t.Fatal(err)
	}
	rs := &readers{all: []*reader{
		{name: "known", ask: func(ctx context.Context) error { return f.read(ctx, old) }},
		{name: "new", ask: func(ctx context.Context) error {
			conn := f.dial()
			defer conn.Close()
			return f.read(ctx, conn)
		}},
		{name: "browser", ask: f.browse},
	}}
	ctx, cancel := context.WithCancel(f.t.Context())
	var done sync.WaitGroup
	for _, r := range rs.all {
		done.Go(func() { f.keepAsking(ctx, r) })
	}
	rs.stop = func() {
		cancel()
		done.Wait()
		_ = old.Close()
	}
	return rs
}

// browse gets a page over a connection of its own.
func (f *flooded) browse(ctx context.Context) error {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+f.http+"/", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

func (f *flooded) keepAsking(ctx context.Context, r *reader) {
	pace := time.NewTicker(2 * time.Millisecond)
	defer pace.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
		}
		began := time.Now()
		err := r.ask(ctx)
		for ; err != nil && ctx.Err() == nil && r.name != "known" && time.Since(began) < patience; err = r.ask(ctx) {
			r.again++
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			f.t.Errorf("the %s reader: %v", r.name, err)
			return
		}
		r.took = append(r.took, time.Since(began))
		r.answers.Add(1)
	}
}

// wait waits until each reader has had so many answers more.
func (rs *readers) wait(t *testing.T, n int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for _, r := range rs.all {
		for want := r.answers.Load() + n; r.answers.Load() < want; {
			select {
			case <-ctx.Done():
				t.Errorf("the %s reader has had %d answers and waits in vain for more", r.name, r.answers.Load())
				return
			case <-tick.C:
			}
		}
	}
}

// String tells how long the answers took. The readers have stopped.
func (rs *readers) String() string {
	var out []string
	for _, r := range rs.all {
		slices.Sort(r.took)
		at := func(part float64) time.Duration {
			if len(r.took) == 0 {
				return 0
			}
			return r.took[int(part*float64(len(r.took)-1))].Round(10 * time.Microsecond)
		}
		out = append(out, fmt.Sprintf("%s: %d answers, median %v, 99%% %v, longest %v, %d again", r.name, len(r.took), at(0.5), at(0.99), at(1), r.again))
	}
	return strings.Join(out, "; ")
}

// figures are what a process takes.
type figures struct {
	rss, heap int64 // their peaks, in MiB
	files     int
}

// look returns what the vault takes, and has taken. known is false where the system does
// not tell.
func (f *flooded) look() (got figures, known bool) {
	f.mu.Lock()
	got.heap = f.heap
	f.mu.Unlock()
	proc := "/proc/" + strconv.Itoa(f.cmd.Process.Pid)
	text, err := os.ReadFile(proc + "/status")
	if err != nil {
		return got, false
	}
	for line := range strings.Lines(string(text)) {
		if kib, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kib), "kB")), 10, 64)
			got.rss = n >> 10
		}
	}
	got.files = f.files()
	return got, true
}

// files is how many the vault has open. -1: the system does not tell.
func (f *flooded) files() int {
	names, err := os.ReadDir("/proc/" + strconv.Itoa(f.cmd.Process.Pid) + "/fd")
	if err != nil {
		return -1
	}
	return len(names)
}

// waitFiles waits until the vault has no more files open than that.
func (f *flooded) waitFiles(most int) {
	f.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for f.files() > most {
		select {
		case <-deadline:
			f.t.Errorf("%d files are open long after the flood, want at most %d", f.files(), most)
			return
		case <-tick.C:
		}
	}
}

// openMany opens n connections, and says the same on each. The connections end with an RST, which leaves nothing behind in the system.
func openMany(t *testing.T, address string, n int, say []byte) (conns []net.Conn) {
	t.Helper()
	var mu sync.Mutex
	var done sync.WaitGroup
	var failed error
	const dialers = 8
	for range dialers {
		done.Go(func() {
			for range n / dialers {
				conn, err := net.DialTimeout("tcp", address, patience)
				if err == nil {
					_ = conn.(*net.TCPConn).SetLinger(0)
					_, _ = conn.Write(say) // may have been closed by now
				}
				mu.Lock()
				if err == nil {
					conns = append(conns, conn)
				}
				failed = cmp.Or(failed, err)
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	done.Wait()
	if failed != nil {
		t.Errorf("after %d connections: %v", len(conns), failed)
	}
	t.Cleanup(func() { closeAll(conns) })
	return conns
}

func closeAll(conns []net.Conn) {
	for _, conn := range conns {
		_ = conn.Close()
	}
}
