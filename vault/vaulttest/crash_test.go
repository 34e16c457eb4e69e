package vaulttest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/store"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// What is killed here is a process of its own: this test's binary, run once more
// with an order in its environment. The provider is in the test's process and
// lives on.

// orderVariable holds the order of a process that is to be killed.
const orderVariable = "VAULTTEST_ORDER"

// order says what a process does until it is killed.
type order struct {
	Seat  vaulttest.Seat
	Grace time.Duration
	// Ahead is how far its clock is ahead.
	Ahead time.Duration
	// Stop is where it stops.
	Stop stopPoint
	// Busy are subjects whose connections it refreshes over and over again.
	// None: it does what the background does.
	Busy []string
}

// stopPoint is a place in the refresh protocol: before or after a commit of a
// connection's record. The first is the intent, the second the new tokens.
type stopPoint struct {
	Commit int64 // 0: nowhere
	After  bool
}

func TestMain(m *testing.M) {
	text, ordered := os.LookupEnv(orderVariable)
	if !ordered {
		os.Exit(m.Run())
	}
	// It must not outlive the test, which holds the other end of its input.
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	var o order
	err := json.Unmarshal([]byte(text), &o)
	if err == nil {
		err = o.obey(context.Background())
	}
	fmt.Fprintln(os.Stderr, "the process ended by itself:", err)
	os.Exit(1)
}

// obey runs a vault until the process is killed, or something fails.
func (o order) obey(ctx context.Context) error {
	v, _, err := o.Seat.Open(ctx, vaulttest.EngineConfig{
		Refresh:   provider.Refresh{Grace: o.Grace},
		Now:       func() time.Time { return time.Now().Add(o.Ahead) },
		WrapStore: func(s store.Store) store.Store { return &stoppingStore{Store: s, at: o.Stop} },
	}, nil)
	if err != nil {
		return err
	}
	if len(o.Busy) == 0 {
		return v.Run(ctx)
	}
	failed := make(chan error)
	for _, subject := range o.Busy {
		go func() {
			for {
				if _, err := v.RefreshConnection(ctx, acmeKey(subject)); err != nil {
					failed <- fmt.Errorf("refresh %s: %w", subject, err)
				}
			}
		}()
	}
	return <-failed
}

func acmeKey(subject string) vault.Key {
	return vault.Key{Tenant: vault.DefaultTenant, Subject: subject, Provider: "acme"}
}

// stoppingStore says when the process has come to where it is to stop, and lets
// it go no further.
type stoppingStore struct {
	store.Store
	at   stopPoint
	seen atomic.Int64
}

func (s *stoppingStore) Commit(ctx context.Context, ops ...store.Op) (store.Revision, error) {
	here := false
	for _, op := range ops {
		if op.Key.Kind == "connections" {
			here = s.seen.Add(1) == s.at.Commit
		}
	}
	if here && !s.at.After {
		stopHere()
	}
	revision, err := s.Store.Commit(ctx, ops...)
	if here {
		stopHere()
	}
	return revision, err
}

func stopHere() {
	fmt.Println("here")
	select {}
}

// doomed is a process that is going to be killed.
type doomed struct {
	t      *testing.T
	cmd    *exec.Cmd
	stderr bytes.Buffer
	here   chan struct{} // closed where it says that it has stopped
	ended  chan struct{} // closed when it has ended
}

// patience is how long anything here may take on a busy machine.
const patience = 30 * time.Second

func start(t *testing.T, o order) *doomed {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	d := &doomed{t: t, cmd: exec.CommandContext(ctx, self), here: make(chan struct{}), ended: make(chan struct{})}
	d.cmd.Env = append(os.Environ(), orderVariable+"="+string(text))
	d.cmd.Stderr = &d.stderr
	stdin, err := d.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(d.ended)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if lines.Text() == "here" {
				close(d.here)
			}
		}
		_ = d.cmd.Wait() // how it ended is for kill to judge
		_ = stdin.Close()
	}()
	t.Cleanup(func() {
		cancel()
		<-d.ended
	})
	return d
}

// killAt kills the process when it has come to a point, and waits for its end.
func (d *doomed) killAt(point <-chan struct{}) {
	d.t.Helper()
	select {
	case <-point:
	case <-d.ended:
		d.t.Fatalf("the process did not come to where it was to be killed: %v\n%s", d.cmd.ProcessState, d.stderr.String())
	}
	if err := d.cmd.Process.Kill(); err != nil {
		d.t.Fatal(err)
	}
	<-d.ended
	if d.cmd.ProcessState.ExitCode() != -1 { // -1: a signal has ended it
		d.t.Fatalf("the process ended by itself: %v\n%s", d.cmd.ProcessState, d.stderr.String())
	}
}

// moment is one of the refresh protocol.
type moment struct {
	name string
	stop stopPoint
	// carriedOut, unless nil, has the process die at the provider instead, when
	// its request has been carried out, or not been looked at.
	carriedOut *bool
	// open: the intent is stored and the new tokens are not.
	open bool
}

func moments() []moment {
	return []moment{
		{name: "the intent is not stored", stop: stopPoint{1, false}},
		{name: "the intent is stored and nothing sent", stop: stopPoint{1, true}, open: true},
		{name: "the request has come and not been looked at", carriedOut: new(false), open: true},
		{name: "the request is carried out and not answered", carriedOut: new(true), open: true},
		{name: "the answer has come and is not stored", stop: stopPoint{2, false}, open: true},
		{name: "the new tokens are stored", stop: stopPoint{2, true}},
	}
}

func TestAKilledProcessBurnsNoRefreshToken(t *testing.T) {
	for _, grace := range []time.Duration{0, 30 * time.Second, 10 * time.Minute} {
		for _, late := range []bool{false, true} {
			for _, moment := range moments() {
				name := fmt.Sprintf("grace %v/at once/%s", grace, moment.name)
				if late {
					name = fmt.Sprintf("grace %v/when it is over/%s", grace, moment.name)
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					c := newCrash(t, grace, sandbox.RotateAlways)
					c.e.MustConnect("alice")
					c.clock.Advance(55 * time.Minute)
					c.kill(moment, order{})
					if late {
						c.clock.Advance(grace + time.Second)
					}
					if moment.open && (late || grace == 0) {
						c.wantGivenUp()
					} else {
						c.wantRecovered(2)
					}
				})
			}
		}
	}
}

func TestAKilledProcessIsOfNoConsequenceWhereRefreshTokensAreKept(t *testing.T) {
	for _, moment := range moments() {
		t.Run(moment.name, func(t *testing.T) {
			t.Parallel()
			c := newCrash(t, 0, sandbox.RotateNever)
			c.e.MustConnect("alice")
			c.beginToWatch()
			c.refresh() // shows that the provider does not rotate
			c.clock.Advance(55 * time.Minute)
			c.kill(moment, order{})
			c.clock.Advance(50 * time.Minute) // the access token ends
			c.wantRecovered(3)
		})
	}
}

func TestARefreshThatACallerHasBegunIsTakenUpByTheBackground(t *testing.T) {
	for _, moment := range moments() {
		if !moment.open {
			continue
		}
		t.Run(moment.name, func(t *testing.T) {
			t.Parallel()
			c := newCrash(t, 10*time.Minute, sandbox.RotateAlways)
			c.e.MustConnect("alice")
			c.kill(moment, order{Busy: []string{"alice"}})
			c.wantRecovered(2)
		})
	}
}

// crash is a vault that lies still while another process has its database.
type crash struct {
	t     *testing.T
	e     *vaulttest.Engine
	grace time.Duration
	clock *vaulttest.Clock
	// seen is the resume token of the last change that was watched.
	seen string
	// killed is when.
	killed time.Time
}

func newCrash(t *testing.T, grace time.Duration, rotation sandbox.Rotation) *crash {
	t.Helper()
	c := &crash{t: t, grace: grace, clock: &vaulttest.Clock{}}
	c.e = vaulttest.NewEngine(t, vaulttest.EngineConfig{
		Quiet: true, Sockets: true, Now: c.clock.Now, Refresh: provider.Refresh{Grace: grace},
		Sandbox: func(s *sandbox.Config) { s.ReuseGrace, s.Rotation = grace, rotation },
	})
	return c
}

// beginToWatch has next return the changes to come.
func (c *crash) beginToWatch() {
	c.t.Helper()
	for checkpoint, err := range c.e.Vault.Watch(c.t.Context(), vault.WatchRequest{Tenant: vault.DefaultTenant}) {
		if err != nil {
			c.t.Fatal(err)
		}
		c.seen = checkpoint.ResumeToken
		return
	}
}

// watch returns the next so many changes.
func (c *crash) watch(n int) []vault.Change {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	var changes []vault.Change
	for change, err := range c.e.Vault.Watch(ctx, vault.WatchRequest{Tenant: vault.DefaultTenant, ResumeToken: c.seen}) {
		if err != nil {
			c.t.Fatalf("after %d of %d changes: %v; %+v", len(changes), n, err, c.e.Connection("alice"))
		}
		if change.Event != vault.EventCheckpoint {
			changes = append(changes, change)
		}
		if len(changes) == n {
			break
		}
	}
	return changes
}

// next returns the next change.
func (c *crash) next() vault.Change {
	c.t.Helper()
	change := c.watch(1)[0]
	c.seen = change.ResumeToken
	return change
}

// refresh refreshes the connection, and checks that it is told once.
func (c *crash) refresh() {
	c.t.Helper()
	want := c.e.Connection("alice").Generation + 1
	if _, err := c.e.Vault.RefreshConnection(c.t.Context(), c.e.Key("alice")); err != nil {
		c.t.Fatalf("RefreshConnection: %v", err)
	}
	change := c.next()
	for change.Event == vault.EventRefreshed && change.Connection.Generation < want {
		change = c.next() // the background was first with another
	}
	if change.Event != vault.EventRefreshed || change.Connection.Generation != want {
		c.t.Errorf("the next change is %v of generation %d, want a refresh of generation %d", change.Event, change.Connection.Generation, want)
	}
}

// kill has a process refresh the connection, as o says or as it falls due, kills it at a moment of that, checks
// the file that it leaves, and opens it again.
func (c *crash) kill(at moment, o order) {
	c.t.Helper()
	c.beginToWatch()
	c.e.Stop()
	arrived, dead := make(chan struct{}), make(chan struct{})
	atProvider := func(*http.Request) {
		close(arrived)
		<-dead
		panic(http.ErrAbortHandler) // there is nobody to go on for
	}
	o.Seat, o.Grace, o.Ahead, o.Stop = c.e.Seat, c.grace, time.Until(c.clock.Now()), at.stop
	switch {
	case at.carriedOut == nil:
	case *at.carriedOut:
		c.e.Sandbox.Fault(sandbox.Token, sandbox.Fault{After: atProvider, Times: 1})
	default:
		c.e.Sandbox.Fault(sandbox.Token, sandbox.Fault{Before: atProvider, Times: 1})
	}
	defer close(dead)
	process := start(c.t, o)
	point := process.here
	if at.carriedOut != nil {
		point = arrived
	}
	process.killAt(point)
	c.killed = c.clock.Now()
	vaulttest.CheckDatabase(c.t, c.e.Seat.DatabasePath)
}

// wantRecovered starts the vault again, and wants the connection to come back to
// life by itself.
func (c *crash) wantRecovered(generation int64) {
	c.t.Helper()
	c.e.Restart()
	if change := c.next(); change.Event != vault.EventRefreshed || change.Connection.Generation != generation {
		c.t.Fatalf("the next change is %v of generation %d, want a refresh of generation %d; %s",
			change.Event, change.Connection.Generation, generation, change.Connection.Problem)
	}
	c.wantWorking()
	c.refresh() // the refresh token that is stored is the one that works
	c.wantWorking()
	c.wantFamily()
}

// wantWorking wants credentials that the provider takes.
func (c *crash) wantWorking() {
	c.t.Helper()
	creds, err := c.e.Credentials("alice")
	if err != nil {
		c.t.Fatalf("GetCredentials: %v", err)
	}
	if !c.e.Sandbox.Valid(creds.AccessToken.Reveal()) {
		c.t.Error("the access token does not work")
	}
	if conn := c.e.Connection("alice"); conn.Status != vault.Connected || conn.Problem != "" {
		c.t.Errorf("status = %v, problem = %q; want connected and none", conn.Status, conn.Problem)
	}
}

// wantGivenUp starts the vault again, and wants it to say why it must not use the
// refresh token any more.
func (c *crash) wantGivenUp() {
	c.t.Helper()
	asked := c.e.Sandbox.Requests(sandbox.Token)
	c.e.Restart()
	if change := c.next(); change.Event != vault.EventReauthorizationRequired || change.Connection.Generation != 1 {
		c.t.Fatalf("the next change is %v of generation %d, want that reauthorization is required", change.Event, change.Connection.Generation)
	}
	conn := c.e.Connection("alice")
	if conn.Status != vault.NeedsReauthorization {
		c.t.Errorf("status = %v, want that reauthorization is required", conn.Status)
	}
	c.wantReason(conn.Problem)
	if _, err := c.e.Credentials("alice"); vault.ReasonOf(err) != vault.ReauthorizationRequired {
		c.t.Errorf("GetCredentials: %v, want that reauthorization is required", err)
	}
	if _, err := c.e.Vault.RefreshConnection(c.t.Context(), c.e.Key("alice")); vault.ReasonOf(err) != vault.ReauthorizationRequired {
		c.t.Errorf("RefreshConnection: %v, want that reauthorization is required", err)
	}
	if n := c.e.Sandbox.Requests(sandbox.Token) - asked; n != 0 {
		c.t.Errorf("%d token requests after the restart, want none", n)
	}
	c.wantFamily()
	c.e.MustConnect("alice")
	if change := c.next(); change.Event != vault.EventConnected {
		c.t.Errorf("after connecting again the next change is %v, want connected", change.Event)
	}
	c.wantWorking()
}

// wantReason wants a problem that tells what has happened, and when.
func (c *crash) wantReason(problem string) {
	c.t.Helper()
	at := regexp.MustCompile(`^The vault was stopped while Acme was refreshing this connection \((\S+)\), and the answer was lost\. .* Connect it again\.$`).FindStringSubmatch(problem)
	if at == nil {
		c.t.Errorf("problem = %q, want that the vault was stopped during a refresh", problem)
		return
	}
	told, err := time.Parse(time.RFC3339, at[1])
	if ago := c.killed.Sub(told); err != nil || ago < 0 || ago > patience {
		c.t.Errorf("problem = %q, want the time of the refresh, shortly before %v", problem, c.killed)
	}
}

// wantFamily wants the provider not to have seen a refresh token used when it must
// not be.
func (c *crash) wantFamily() {
	c.t.Helper()
	if n := c.e.Sandbox.RevokedFamilies(); n != 0 {
		c.t.Errorf("%d grants were revoked for reuse of a refresh token", n)
	}
	if n := c.e.Sandbox.LiveFamilies(); n != 1 {
		c.t.Errorf("%d grants live at the provider, want the one", n)
	}
}

func TestProcessesKilledAtAnyMomentLoseNothing(t *testing.T) {
	const rounds, connections, busiest = 12, 24, 120
	grace := 10 * time.Minute
	c := newCrash(t, grace, sandbox.RotateAlways)
	c.beginToWatch()
	names := subjects(connections)
	c.e.MustConnect(names...)
	for range rounds {
		c.e.Stop()
		point, left := make(chan struct{}), atomic.Int64{}
		left.Store(1 + rand.Int64N(busiest))
		at := func(*http.Request) {
			if left.Add(-1) == 0 {
				close(point)
			}
		}
		c.e.Sandbox.Fault(sandbox.Token, sandbox.Fault{Before: at})
		if rand.N(2) == 0 {
			c.e.Sandbox.Fault(sandbox.Token, sandbox.Fault{After: at})
		}
		o := order{Seat: c.e.Seat, Grace: grace, Busy: names}
		start(t, o).killAt(point)
		vaulttest.CheckDatabase(t, c.e.Seat.DatabasePath)
	}
	c.e.Sandbox.ClearFaults()
	c.e.Restart()
	var wg sync.WaitGroup
	for _, name := range names {
		wg.Go(func() {
			if _, err := c.e.Vault.RefreshConnection(t.Context(), c.e.Key(name)); err != nil {
				t.Errorf("RefreshConnection(%s) after the last restart: %v", name, err)
			}
		})
	}
	wg.Wait()
	if n := c.e.Sandbox.RevokedFamilies(); n != 0 {
		t.Errorf("%d grants were revoked for reuse of a refresh token", n)
	}
	c.wantToldOnce(names)
}

// wantToldOnce wants the changes of connections, since they were made, to have
// been told once each and in their order, up to what the connections are now.
func (c *crash) wantToldOnce(names []string) {
	c.t.Helper()
	sum, told := 0, map[string]int64{}
	for _, name := range names {
		sum += int(c.e.Connection(name).Generation)
	}
	for _, change := range c.watch(sum) {
		subject := change.Connection.Key.Subject
		told[subject]++
		if got, want := change.Connection.Generation, told[subject]; got != want {
			c.t.Errorf("%s: told of generation %d, want %d", subject, got, want)
		}
	}
	for _, name := range names {
		if got, want := told[name], c.e.Connection(name).Generation; got != want {
			c.t.Errorf("%s: told of %d changes, want %d", name, got, want)
		}
	}
	c.t.Logf("%d refreshes of %d connections", sum-len(names), len(names))
}
