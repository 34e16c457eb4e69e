package vaulttest_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

const (
	checkpoint = tokenvaultv1.ConnectionEvent_CONNECTION_EVENT_CHECKPOINT
	connected  = tokenvaultv1.ConnectionEvent_CONNECTION_EVENT_CONNECTED
	refreshed  = tokenvaultv1.ConnectionEvent_CONNECTION_EVENT_REFRESHED
	died       = tokenvaultv1.ConnectionEvent_CONNECTION_EVENT_REAUTHORIZATION_REQUIRED
	deleted    = tokenvaultv1.ConnectionEvent_CONNECTION_EVENT_DISCONNECTED
)

// told is a change, as far as a test compares it.
type told struct {
	Event      string
	Generation int64
}

// ledger is what those who have made changes know of them, by subject and in
// their order.
type ledger struct {
	mu      sync.Mutex
	more    *sync.Cond
	changes map[string][]told
	n       int
	hurry   bool
}

func newLedger() *ledger {
	l := &ledger{changes: map[string][]told{}}
	l.more = sync.NewCond(&l.mu)
	return l
}

func (l *ledger) add(subject string, event tokenvaultv1.ConnectionEvent, generation int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changes[subject] = append(l.changes[subject], told{event.String(), generation})
	l.n++
	l.more.Broadcast()
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

// wait returns when there are so many changes, or when nobody must wait.
func (l *ledger) wait(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.n < n && !l.hurry {
		l.more.Wait()
	}
}

// setHurry says whether nobody must wait: there are no changes to come.
func (l *ledger) setHurry(hurry bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hurry = hurry
	l.more.Broadcast()
}

// producer makes changes of one subject's connection, one after the other.
type producer struct {
	s          *vaulttest.Stack
	ledger     *ledger
	subject    string
	generation int64 // 0: there is no connection
	dead       bool
}

// change makes one change: most often a refresh.
func (p *producer) change(ctx context.Context) error {
	switch {
	case p.generation == 0 || p.dead:
		return p.connect(ctx)
	case rand.N(100) == 0:
		return p.disconnect(ctx)
	case rand.N(100) == 0:
		return p.die(ctx)
	default:
		return p.refresh(ctx)
	}
}

func (p *producer) connect(ctx context.Context) error {
	if err := connectAs(ctx, p.s, p.s.Client, p.subject, "acme"); err != nil {
		return err
	}
	p.generation++
	p.dead = false
	p.ledger.add(p.subject, connected, p.generation)
	return nil
}

func (p *producer) disconnect(ctx context.Context) error {
	if _, err := p.s.Client.Disconnect(ctx, &tokenvaultv1.DisconnectRequest{Subject: p.subject, Provider: "acme"}); err != nil {
		return fmt.Errorf("disconnect %s: %w", p.subject, err)
	}
	p.ledger.add(p.subject, deleted, p.generation)
	p.generation = 0
	return nil
}

// die has the person remove the access at the provider, and the vault find out.
func (p *producer) die(ctx context.Context) error {
	creds, err := p.s.Client.GetCredentials(ctx, &tokenvaultv1.GetCredentialsRequest{Subject: p.subject, Provider: "acme"})
	if err != nil {
		return fmt.Errorf("credentials of %s: %w", p.subject, err)
	}
	p.s.Sandbox.RevokeFamily(p.s.Sandbox.FamilyOf(creds.GetOauth2().GetAccessToken()))
	_, err = p.s.Client.RefreshConnection(ctx, &tokenvaultv1.RefreshConnectionRequest{Subject: p.subject, Provider: "acme"})
	if reason(err) != "REAUTHORIZATION_REQUIRED" {
		return fmt.Errorf("refresh %s, whose grant is dead: %w", p.subject, err)
	}
	p.dead = true
	p.ledger.add(p.subject, died, p.generation)
	return nil
}

func (p *producer) refresh(ctx context.Context) error {
	resp, err := p.s.Client.RefreshConnection(ctx, &tokenvaultv1.RefreshConnectionRequest{Subject: p.subject, Provider: "acme"})
	if err != nil {
		return fmt.Errorf("refresh %s: %w", p.subject, err)
	}
	p.generation++
	if got := resp.GetConnection().GetGeneration(); got != p.generation {
		return fmt.Errorf("refreshing %s gave generation %d, want %d", p.subject, got, p.generation)
	}
	p.ledger.add(p.subject, refreshed, p.generation)
	return nil
}

type watchStream = grpc.ServerStreamingClient[tokenvaultv1.WatchConnectionsResponse]

func mustWatch(t *testing.T, c tokenvaultv1.VaultServiceClient, r *tokenvaultv1.WatchConnectionsRequest) watchStream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	stream, err := c.WatchConnections(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// watch begins to watch, waits for the checkpoint, and returns its resume token.
func watch(t *testing.T, c tokenvaultv1.VaultServiceClient, r *tokenvaultv1.WatchConnectionsRequest) (stream watchStream, resume string) {
	t.Helper()
	stream = mustWatch(t, c, r)
	answer := receive(t, stream)
	if answer.GetEvent() != checkpoint || answer.GetConnection() != nil || answer.GetResumeToken() == "" {
		t.Fatalf("the first answer is %v, want a checkpoint", answer)
	}
	return stream, answer.GetResumeToken()
}

func receive(t *testing.T, stream watchStream) *tokenvaultv1.WatchConnectionsResponse {
	t.Helper()
	answer, err := stream.Recv()
	if err != nil {
		t.Fatalf("watch: %v", err)
	}
	return answer
}

// connectAs takes a subject of a caller's through a whole flow.
func connectAs(ctx context.Context, s *vaulttest.Stack, c tokenvaultv1.VaultServiceClient, subject, provider string) error {
	begun, err := c.Connect(ctx, &tokenvaultv1.ConnectRequest{Subject: subject, Provider: provider})
	if err != nil {
		return fmt.Errorf("connect %s: %w", subject, err)
	}
	page, err := sandbox.Person{Client: s.NewBrowser()}.Approve(ctx, begun.GetConnectUrl(), vaulttest.Ada)
	if err != nil {
		return fmt.Errorf("connect %s: %w", subject, err)
	}
	_, err = io.Copy(io.Discard, page.Body)
	if closeErr := page.Body.Close(); err != nil || closeErr != nil || page.StatusCode != http.StatusOK {
		return fmt.Errorf("connect %s: the browser ended at %d, %v", subject, page.StatusCode, err)
	}
	return nil
}

// follower is a watcher that remembers, across the ends of its streams, what it
// was told and from where to go on.
type follower struct {
	s      *vaulttest.Stack
	gate   *sync.RWMutex // held by who restarts the vault
	seen   map[string][]told
	resume string
	delays []time.Duration
	// life is how many answers it reads at most until it is killed. 0: it is
	// never.
	life int
	// pause, unless nil, is called in the middle of a life, and absent after it.
	pause, absent func()
}

// lastSubject is the one whose change ends a test.
const lastSubject = "the-last"

// follow watches until the last change has come.
func (f *follower) follow(ctx context.Context) error {
	for {
		left := -1
		if f.life > 0 {
			left = rand.N(f.life)
		}
		done, err := f.live(ctx, left)
		if done {
			return nil
		}
		if code := status.Code(err); code != codes.Unavailable && code != codes.OK {
			return fmt.Errorf("watch: %w", err)
		}
		if f.absent != nil {
			f.absent()
		}
	}
}

// live watches until it has read so many answers (negative: for ever), until the
// last change, or until the stream ends with an error.
func (f *follower) live(ctx context.Context, left int) (done bool, err error) {
	f.gate.RLock()
	conn := f.s.Dial(f.s.Token)
	f.gate.RUnlock()
	defer conn.Close()
	ctx, kill := context.WithCancel(ctx)
	defer kill()
	stream, err := tokenvaultv1.NewVaultServiceClient(conn).WatchConnections(ctx, &tokenvaultv1.WatchConnectionsRequest{ResumeToken: f.resume})
	if err != nil {
		return false, err
	}
	for n := 0; n != left; n++ {
		answer, err := stream.Recv()
		if err != nil {
			return false, err
		}
		f.resume = answer.GetResumeToken()
		if answer.GetEvent() == checkpoint {
			continue
		}
		subject := answer.GetConnection().GetSubject()
		f.seen[subject] = append(f.seen[subject], told{answer.GetEvent().String(), answer.GetConnection().GetGeneration()})
		f.delays = append(f.delays, time.Since(answer.GetEventTime().AsTime()))
		if subject == lastSubject {
			return true, nil
		}
		if f.pause != nil && n == left/2 {
			f.pause()
		}
	}
	return false, nil
}

func TestWatchersSeeEachChangeOnceAndInOrder(t *testing.T) {
	const producers, restarts = 50, 3
	changes := 10_000
	if testing.Short() {
		changes /= 5
	}
	s := vaulttest.New(t, vaulttest.Config{})
	l, gate := newLedger(), new(sync.RWMutex)
	// away waits until so many more changes were made.
	away := func(most int) func() {
		return func() { l.wait(min(l.count()+rand.N(most), changes)) }
	}
	watchers := map[string]*follower{
		"never killed":              {},
		"killed at random":          {life: 400},
		"killed, and away at times": {life: 800, absent: away(1000)},
		"killed, and slow to read":  {life: 2000, pause: away(1000)},
	}
	var following sync.WaitGroup
	for name, f := range watchers {
		f.s, f.gate, f.seen = s, gate, map[string][]told{}
		f.begin(t)
		following.Go(func() {
			if err := f.follow(t.Context()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	began := time.Now()
	var producing sync.WaitGroup
	for i := range producers {
		p := &producer{s: s, ledger: l, subject: fmt.Sprint("subject-", i)}
		producing.Go(func() {
			for range changes / producers {
				gate.RLock()
				err := p.change(t.Context())
				gate.RUnlock()
				if err != nil {
					t.Error(err)
					l.setHurry(true)
					return
				}
			}
		})
	}
	for i := range restarts {
		l.wait((i + 1) * changes / (restarts + 1))
		gate.Lock()
		l.setHurry(true)
		s.Restart()
		l.setHurry(t.Failed())
		gate.Unlock()
	}
	producing.Wait()
	took := time.Since(began)
	if err := (&producer{s: s, ledger: l, subject: lastSubject}).connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	following.Wait()
	for name, f := range watchers {
		if diff := cmp.Diff(l.changes, f.seen); diff != "" {
			t.Errorf("%s: (-made +seen):\n%s", name, diff)
		}
	}
	t.Logf("%d changes in %v, %.0f a second; from change to watcher, under this load and over restarts: %s",
		l.n, took, float64(l.n)/took.Seconds(), spreadOf(watchers["never killed"].delays))
}

// begin has the follower see all changes from now on.
func (f *follower) begin(t *testing.T) {
	t.Helper()
	if done, err := f.live(t.Context(), 1); done || err != nil {
		t.Fatalf("the first answer of a watch: %v", err)
	}
	if len(f.seen) > 0 || f.resume == "" {
		t.Fatal("the first answer of a watch is no checkpoint")
	}
}

// spreadOf puts times into words.
func spreadOf(times []time.Duration) string {
	slices.Sort(times)
	at := func(part float64) time.Duration {
		return times[int(part*float64(len(times)-1))].Round(time.Microsecond)
	}
	return fmt.Sprintf("median %v, 99%% within %v, longest %v", at(0.5), at(0.99), at(1))
}

func TestAWatcherIsToldAtOnce(t *testing.T) {
	s := newExpiring(t)
	stream, _ := watch(t, s.Client, &tokenvaultv1.WatchConnectionsRequest{})
	p := &producer{s: s, ledger: newLedger(), subject: "alice", generation: 1}
	var sinceChange, sinceAnswer []time.Duration
	for range 300 {
		if err := p.refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		answered := time.Now()
		answer := receive(t, stream)
		if answer.GetEvent() != refreshed || answer.GetConnection().GetGeneration() != p.generation {
			t.Fatalf("told of %v of generation %d, want of a refresh of generation %d", answer.GetEvent(), answer.GetConnection().GetGeneration(), p.generation)
		}
		sinceAnswer = append(sinceAnswer, time.Since(answered))
		sinceChange = append(sinceChange, time.Since(answer.GetEventTime().AsTime()))
	}
	t.Logf("the watcher has it after the commit was begun: %s; after the caller has its answer: %s", spreadOf(sinceChange), spreadOf(sinceAnswer))
}

func TestWatchingThenListingLeavesNoGap(t *testing.T) {
	const changes, producers = 1000, 10
	s := vaulttest.New(t, vaulttest.Config{})
	l := newLedger()
	var producing sync.WaitGroup
	defer producing.Wait()
	for i := range producers {
		p := &producer{s: s, ledger: l, subject: fmt.Sprint("subject-", i)}
		producing.Go(func() {
			for range changes / producers {
				if err := p.change(t.Context()); err != nil {
					t.Error(err)
					l.setHurry(true)
					return
				}
			}
		})
	}
	l.wait(changes / 4)
	stream, _ := watch(t, s.Client, &tokenvaultv1.WatchConnectionsRequest{})
	list, err := s.Client.ListConnections(t.Context(), &tokenvaultv1.ListConnectionsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	// A connection is known by when it was connected and by its generation,
	// which together only grow.
	known := map[string]*tokenvaultv1.Connection{}
	for _, c := range list.GetConnections() {
		known[c.GetSubject()] = c
	}
	producing.Wait()
	if err := (&producer{s: s, ledger: l, subject: lastSubject}).connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	for {
		answer := receive(t, stream)
		c := answer.GetConnection()
		if c.GetSubject() == lastSubject {
			break
		}
		take(t, known, answer)
	}
	for subject, want := range l.changes {
		if subject == lastSubject {
			continue
		}
		last := want[len(want)-1]
		if c := known[subject]; (c == nil) != (last.Event == deleted.String()) || c != nil && c.GetGeneration() != last.Generation {
			t.Errorf("%s: generation %d is known, want what came of %v", subject, c.GetGeneration(), last)
		}
	}
}

// take takes a change into what is known, unless it is known already, and checks
// that none is missing before it.
func take(t *testing.T, known map[string]*tokenvaultv1.Connection, answer *tokenvaultv1.WatchConnectionsResponse) {
	t.Helper()
	c := answer.GetConnection()
	old := known[c.GetSubject()]
	stale := old != nil && (c.GetConnectTime().AsTime().Before(old.GetConnectTime().AsTime()) || c.GetGeneration() < old.GetGeneration())
	switch {
	case stale:
	case answer.GetEvent() == deleted:
		delete(known, c.GetSubject())
	case old == nil && answer.GetEvent() != connected:
		// It was disconnected when it was listed: this is from before.
	default:
		if old != nil && c.GetConnectTime().AsTime().Equal(old.GetConnectTime().AsTime()) && c.GetGeneration() > old.GetGeneration()+1 {
			t.Errorf("%s: told of generation %d after %d", c.GetSubject(), c.GetGeneration(), old.GetGeneration())
		}
		known[c.GetSubject()] = c
	}
}

func TestAWatchEndsWithTheServerAndGoesOnWithTheNext(t *testing.T) {
	s := newExpiring(t)
	alice := &producer{s: s, ledger: newLedger(), subject: "alice", generation: 1}
	stream, _ := watch(t, s.Client, &tokenvaultv1.WatchConnectionsRequest{})
	for round := range 3 {
		if err := alice.refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		answer := receive(t, stream)
		for answer.GetEvent() == checkpoint {
			answer = receive(t, stream)
		}
		if answer.GetConnection().GetGeneration() != alice.generation {
			t.Errorf("round %d: told of generation %d, want %d", round, answer.GetConnection().GetGeneration(), alice.generation)
		}
		resume := answer.GetResumeToken()
		s.Restart()
		if answer, err := stream.Recv(); status.Code(err) != codes.Unavailable {
			t.Errorf("round %d: when the server stopped: %v, %v; want UNAVAILABLE", round, answer, err)
		}
		if err := alice.refresh(t.Context()); err != nil { // which nobody watches
			t.Fatal(err)
		}
		stream = mustWatch(t, s.Client, &tokenvaultv1.WatchConnectionsRequest{ResumeToken: resume})
		if answer := receive(t, stream); answer.GetEvent() != refreshed || answer.GetConnection().GetGeneration() != alice.generation {
			t.Errorf("round %d: after the restart: %v, want the change of generation %d", round, answer, alice.generation)
		}
	}
}

func TestAReaderThatDoesNotReadHoldsUpNobody(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	conn := s.Dial(s.Token)
	defer conn.Close()
	stream, _ := watch(t, tokenvaultv1.NewVaultServiceClient(conn), &tokenvaultv1.WatchConnectionsRequest{})
	var producing sync.WaitGroup
	for i := range 25 {
		p := &producer{s: s, ledger: newLedger(), subject: fmt.Sprint("subject-", i)}
		producing.Go(func() {
			for range 30 { // in all, more than the reader's connection holds
				if err := p.change(t.Context()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	producing.Wait()
	began := time.Now()
	s.Restart()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the server took %v to stop", took)
	}
	var err error
	for err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Unavailable {
		t.Errorf("when it reads after all: %v, want UNAVAILABLE in the end", err)
	}
}
