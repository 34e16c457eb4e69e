package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tokenvault/tokenvault/vault/sandbox"
)

// Commands for scripts in which programs run side by side and a person answers in
// a browser.

// patience is how long a script waits for anything.
const patience = 30 * time.Second

func scriptCommands() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	return map[string]func(ts *testscript.TestScript, neg bool, args []string){
		"addresses": scriptAddresses,
		"port":      scriptPort,
		"fromfile":  scriptFromFile,
		"start":     scriptStart,
		"expect":    scriptExpect,
		"interrupt": scriptInterrupt,
		"ended":     scriptEnded,
		"browse":    scriptBrowse,
		"expand":    scriptExpand,
		"entercode": scriptEnterCode,
	}
}

type processesKey struct{}

func setupScript(env *testscript.Env) error {
	env.Values[processesKey{}] = map[string]*process{}
	return nil
}

// scriptAddresses sets variables to free loopback addresses: addresses GRPC HTTP.
func scriptAddresses(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		address, err := unusedAddress()
		ts.Check(err)
		ts.Setenv(name, address)
	}
}

// usedPorts counts up, so that no two scripts get the same port. It begins anywhere
// below the ports that the system itself gives away: one that is free is still free
// when the program which is told of it comes to listen.
var usedPorts = func() *atomic.Int32 {
	var n atomic.Int32
	n.Store(10_000 + rand.Int32N(15_000))
	return &n
}()

func unusedAddress() (string, error) {
	for {
		port := usedPorts.Add(1)
		if port > 32_000 {
			return "", errors.New("no port is free")
		}
		lis, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue // somebody else's
		}
		return lis.Addr().String(), lis.Close()
	}
}

// scriptPort sets a variable to the port of an address: port PORT ADDRESS.
func scriptPort(ts *testscript.TestScript, _ bool, args []string) {
	_, port, err := net.SplitHostPort(args[1])
	ts.Check(err)
	ts.Setenv(args[0], port)
}

// scriptFromFile sets a variable to what a file holds: fromfile NAME FILE.
func scriptFromFile(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

// process is a program that a script has started, with what it prints.
type process struct {
	cmd   *exec.Cmd
	ended chan error

	mu      sync.Mutex
	output  strings.Builder
	seen    int           // how much of output has been matched
	changed chan struct{} // closed when there is more
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.output.Write(b)
	close(p.changed)
	p.changed = make(chan struct{})
	return len(b), nil
}

// scriptStart starts a tokenvault: start NAME ARGUMENTS...
func scriptStart(ts *testscript.TestScript, _ bool, args []string) {
	p := &process{ended: make(chan error, 1), changed: make(chan struct{})}
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if program := filepath.Join(dir, "tokenvault"); p.cmd == nil {
			if _, err := os.Stat(program); err == nil {
				p.cmd = exec.Command(program, args[1:]...)
			}
		}
	}
	p.cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TOKENVAULT_ADDR", "TOKENVAULT_TOKEN"} {
		p.cmd.Env = append(p.cmd.Env, name+"="+ts.Getenv(name))
	}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	ts.Check(p.cmd.Start())
	go func() { p.ended <- p.cmd.Wait() }()
	ts.Defer(func() {
		_ = p.cmd.Process.Kill()
		p.ended <- <-p.ended
		ts.Logf("[%s]\n%s", args[0], p.output.String())
	})
	processes(ts)[args[0]] = p
}

func processes(ts *testscript.TestScript) map[string]*process {
	return ts.Value(processesKey{}).(map[string]*process)
}

// scriptExpect waits until a program has printed something, after what was
// expected last: expect NAME PATTERN [VARIABLE]. The variable is set to the
// pattern's group.
func scriptExpect(ts *testscript.TestScript, _ bool, args []string) {
	p := processes(ts)[args[0]]
	pattern := regexp.MustCompile("(?m)" + args[1])
	deadline := time.After(patience)
	for {
		p.mu.Lock()
		text, changed := p.output.String()[p.seen:], p.changed
		match := pattern.FindStringSubmatchIndex(text)
		if match != nil {
			p.seen += match[1]
		}
		p.mu.Unlock()
		if match != nil {
			if len(args) > 2 {
				ts.Setenv(args[2], text[match[2]:match[3]])
			}
			return
		}
		select {
		case <-changed:
		case err := <-p.ended:
			p.ended <- err
			if text := p.output.String()[p.seen:]; !pattern.MatchString(text) {
				ts.Fatalf("%s ended without printing %q (%v)", args[0], args[1], err)
			}
		case <-deadline:
			ts.Fatalf("%s has not printed %q", args[0], args[1])
		}
	}
}

// scriptInterrupt presses Ctrl-C: interrupt NAME.
func scriptInterrupt(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(processes(ts)[args[0]].cmd.Process.Signal(os.Interrupt))
}

// scriptEnded waits for a program's end: ended NAME, or ! ended NAME for one that
// fails.
func scriptEnded(ts *testscript.TestScript, neg bool, args []string) {
	p := processes(ts)[args[0]]
	select {
	case err := <-p.ended:
		p.ended <- err
		if (err != nil) != neg {
			ts.Fatalf("%s ended with %v", args[0], err)
		}
	case <-time.After(patience):
		ts.Fatalf("%s has not ended", args[0])
	}
}

// scriptBrowse has a person open a link and approve, decline, or approve with another
// account by mistake: browse approve LINK [VARIABLE]. The page at the end is in page.html; the variable is set to the
// confirmation in its address.
func scriptBrowse(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience) // the script's
	defer cancel()
	jar, err := cookiejar.New(nil)
	ts.Check(err)
	person := sandbox.Person{Client: &http.Client{Jar: jar}}
	var page *http.Response
	switch args[0] {
	case "approve":
		page, err = person.Approve(ctx, args[1], sandbox.DefaultAccounts()[0].ID)
	case "mistake":
		page, err = person.Approve(ctx, args[1], sandbox.DefaultAccounts()[1].ID)
	case "decline":
		page, err = person.Deny(ctx, args[1])
	default:
		ts.Fatalf("browse %s: write approve, mistake or decline", args[0])
	}
	ts.Check(err)
	body, err := io.ReadAll(page.Body)
	ts.Check(errors.Join(err, page.Body.Close(), os.WriteFile(ts.MkAbs("page.html"), body, 0o600)))
	if len(args) > 2 {
		ts.Setenv(args[2], page.Request.URL.Query().Get("confirmation"))
	}
}
