package client_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/client"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// newMovable is newRig with a client that finds the vault where it is told to: after a
// restart it has another port. move tells it. It has the client's log in lines.
func newMovable(t *testing.T, c vaulttest.Config) (r *rig, move func(), lines chan string) {
	t.Helper()
	var addr atomic.Pointer[string]
	c.TokenLifetime = time.Hour
	s := vaulttest.New(t, c)
	move = func() { at := s.GRPCAddress; addr.Store(&at) }
	move()
	dial := func(ctx context.Context, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", *addr.Load())
	}
	lines = make(chan string, 100)
	return rigOn(t, s, client.WithToken(s.Token.Reveal()), client.WithLogger(logTo(lines)), client.WithDialOptions(grpc.WithContextDialer(dial))), move, lines
}

// TestAClientLearnsWhatHasHappenedWhileItWasCutOff restarts the vault, and disconnects
// one of two connections before the client finds it again.
func TestAClientLearnsWhatHasHappenedWhileItWasCutOff(t *testing.T) {
	r, move, _ := newMovable(t, vaulttest.Config{})
	r.connect("alice", "acme")
	r.connect("bob", "acme")
	r.watched()
	alice, bob := r.c.TokenSource(t.Context(), "alice", "acme"), r.c.TokenSource(t.Context(), "bob", "acme")
	mustToken(t, alice)
	mustToken(t, bob)

	r.Restart()
	mustToken(t, alice) // from memory: it is believed for a while
	news := r.c.News("alice", "acme")
	r.disconnect("alice", "acme")
	move()
	r.await("the disconnect", news)
	if _, err := alice.Token(); err == nil {
		t.Error("there is a token after the disconnect was known")
	} else {
		wantReason(t, err, "NOT_CONNECTED")
	}
	r.watched()
	r.Clock.Advance(time.Minute)
	before := r.rpcs.of("GetCredentials")
	mustToken(t, bob)
	if n := r.rpcs.of("GetCredentials") - before; n != 0 {
		t.Errorf("%d GetCredentials for a connection of which there is no news, want none: the watch goes on where it was", n)
	}
}

func TestAnswersAreBelievedForAWhileWhenTheWatchIsDown(t *testing.T) {
	r, move, lines := newMovable(t, vaulttest.Config{})
	r.connect("alice", "acme")
	r.watched()
	source := r.c.TokenSource(t.Context(), "alice", "acme")
	mustToken(t, source)
	r.Clock.Advance(time.Minute)
	r.Restart()
	wantText(t, nextLine(t, lines), "the watch of connections has ended", r.Token.Reveal())
	r.Clock.Advance(29 * time.Second)
	mustToken(t, source)
	r.Clock.Advance(2 * time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := r.c.Credentials(ctx, "alice", "acme"); err == nil {
		t.Error("there are credentials half a minute after the vault has gone")
	}
	move()
	r.watched()
	mustToken(t, source)
}

// TestAClientThatWasCutOffForTooLongBeginsAnew: the vault remembers changes for an hour.
func TestAClientThatWasCutOffForTooLongBeginsAnew(t *testing.T) {
	r, move, lines := newMovable(t, vaulttest.Config{})
	r.connect("alice", "acme")
	r.watched()
	source := r.c.TokenSource(t.Context(), "alice", "acme")
	mustToken(t, source)
	r.Restart()
	wantText(t, nextLine(t, lines), "the watch of connections has ended", r.Token.Reveal())
	r.Clock.Advance(2 * time.Hour)
	move()
	r.watched()
	mustToken(t, source)
	news := r.c.News("alice", "acme")
	r.disconnect("alice", "acme")
	r.await("the disconnect", news)
	if _, err := source.Token(); err == nil {
		t.Error("there is a token after the disconnect was known")
	}
}

// TestACallerThatMayNotWatchHasItSaidOnce also shows that the log holds no secret.
func TestACallerThatMayNotWatchHasItSaidOnce(t *testing.T) {
	token := access.GenerateToken()
	s := vaulttest.New(t, vaulttest.Config{Rules: []access.Rule{rule(access.Rule{Tokens: access.HashTokens(token)}, "GetCredentials")}})
	lines := make(chan string, 10)
	r := rigOn(t, s, client.WithToken(token.Reveal()), client.WithLogger(logTo(lines)))
	r.connect("alice", "acme")
	source := r.c.TokenSource(t.Context(), "alice", "acme")
	creds := mustToken(t, source)
	wantText(t, nextLine(t, lines), "cannot be watched", token.Reveal(), creds.AccessToken)
	if r.c.IsWatched() {
		t.Error("it is watched all the same")
	}
	mustToken(t, source)
}
