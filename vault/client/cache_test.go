package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/client"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

func TestAHundredThousandCallsCostOneRPC(t *testing.T) {
	r := newRig(t, vaulttest.Config{})
	r.connect("alice", "acme")
	source := r.c.TokenSource(t.Context(), "alice", "acme")
	var calling sync.WaitGroup
	for range 100 {
		calling.Go(func() {
			for range 1000 {
				if token, err := source.Token(); err != nil || !token.Valid() {
					t.Errorf("Token() = %v, %v", token != nil, err)
					return
				}
			}
		})
	}
	calling.Wait()
	if n := r.rpcs.of("GetCredentials"); n != 1 {
		t.Errorf("%d GetCredentials, want 1", n)
	}
	if token := mustToken(t, source); !r.Sandbox.Valid(token.AccessToken) || token.Type() != "Bearer" || token.Expiry.IsZero() {
		t.Error("the token is not what the provider has issued")
	}
}

func TestTheNextCallAfterADisconnectFails(t *testing.T) {
	r := newRig(t, vaulttest.Config{})
	r.watched()
	var delays []time.Duration
	for range 20 {
		news := r.c.News("alice", "acme")
		r.connect("alice", "acme")
		r.await("the connection", news)
		source := r.c.TokenSource(t.Context(), "alice", "acme")
		mustToken(t, source)
		news = r.c.News("alice", "acme")
		began := time.Now()
		r.disconnect("alice", "acme")
		r.await("the disconnect", news)
		delays = append(delays, time.Since(began).Round(time.Microsecond))
		if _, err := source.Token(); err == nil {
			t.Fatal("there is a token after the disconnect was known")
		} else {
			wantReason(t, err, "NOT_CONNECTED")
		}
	}
	slices.Sort(delays)
	t.Logf("from Disconnect's call to its being known here, its own work included: median %v, longest %v", delays[len(delays)/2], delays[len(delays)-1])
}

// TestAWatchingClientFollowsAConnection makes each kind of change, and has the client
// answer from memory before, and anew after it.
func TestAWatchingClientFollowsAConnection(t *testing.T) {
	r := newRig(t, vaulttest.Config{})
	r.watched()
	source := r.c.TokenSource(t.Context(), "alice", "acme")
	var last string
	for _, row := range []struct {
		name   string
		change func()
		want   string // reason; empty: a token that was not there before
	}{
		{"connected", func() { r.connect("alice", "acme") }, ""},
		{"refreshed", func() {
			if err := r.refresh("alice"); err != nil {
				t.Fatal(err)
			}
		}, ""},
		{"connected again", func() { r.connect("alice", "acme") }, ""},
		{"broken", func() { r.Sandbox.RevokeAll(); wantStatus(t, r.refresh("alice"), "REAUTHORIZATION_REQUIRED") }, "REAUTHORIZATION_REQUIRED"},
		{"mended", func() { r.connect("alice", "acme") }, ""},
		{"disconnected", func() { r.disconnect("alice", "acme") }, "NOT_CONNECTED"},
	} {
		news := r.c.News("alice", "acme")
		row.change()
		began := time.Now()
		r.await(row.name, news)
		t.Logf("%s: known within %v of the answer to who made the change", row.name, time.Since(began).Round(time.Microsecond))
		token, err := source.Token()
		switch {
		case row.want != "":
			wantReason(t, err, row.want)
		case err != nil || token.AccessToken == last || !r.Sandbox.Valid(token.AccessToken):
			t.Errorf("%s: error = %v, or the token is an old one", row.name, err)
		default:
			last = token.AccessToken
		}
	}
}

func wantStatus(t *testing.T, err error, reason string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want %s", reason)
	}
}

func TestATokenAboutToEndIsReplaced(t *testing.T) {
	r := newRig(t, vaulttest.Config{TokenLifetime: 4 * time.Minute})
	r.connect("alice", "acme")
	r.watched()
	source := r.c.TokenSource(t.Context(), "alice", "acme", client.WithMinTTL(2*time.Minute))
	first := mustToken(t, source)
	r.Clock.Advance(2*time.Minute + time.Second) // before the vault would refresh it by itself
	second := mustToken(t, source)
	if second.AccessToken == first.AccessToken || !second.Expiry.After(first.Expiry) {
		t.Error("a token with less than its least life left was given again")
	}
}

// TestAnAnswerIsUsedForItsTime has the clock pass, with a watch and without.
func TestAnAnswerIsUsedForItsTime(t *testing.T) {
	token := access.GenerateToken()
	s := vaulttest.New(t, vaulttest.Config{TokenLifetime: time.Hour, Rules: []access.Rule{rule(access.Rule{Tokens: access.HashTokens(token)}, "GetCredentials")}})
	for _, row := range []struct {
		name    string
		watches bool
		pass    time.Duration
		want    int
	}{
		{"with a watch, 4 minutes", true, 4 * time.Minute, 1},
		{"with a watch, 6 minutes", true, 6 * time.Minute, 2},
		{"without the right to watch, 29 seconds", false, 29 * time.Second, 1},
		{"without the right to watch, 31 seconds", false, 31 * time.Second, 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := rigOn(t, s)
			if !row.watches {
				r = rigOn(t, s, client.WithToken(token.Reveal()))
			}
			r.connect("alice", "acme")
			if row.watches {
				r.watched()
			}
			source := r.c.TokenSource(t.Context(), "alice", "acme")
			mustToken(t, source)
			before := r.rpcs.of("GetCredentials")
			r.Clock.Advance(row.pass)
			mustToken(t, source)
			if n := 1 + r.rpcs.of("GetCredentials") - before; n != row.want {
				t.Errorf("%d GetCredentials, want %d", n, row.want)
			}
		})
	}
}

// TestAnAnswerFromBeforeAChangeIsNotKept has the connection go while an answer about it
// is on its way.
func TestAnAnswerFromBeforeAChangeIsNotKept(t *testing.T) {
	r := newRig(t, vaulttest.Config{})
	r.connect("alice", "acme")
	r.watched()
	answered, deliver := make(chan struct{}), make(chan struct{})
	r.rpcs.setHold(func(rpc string, isAnswered bool) {
		if rpc == "GetCredentials" && isAnswered {
			close(answered)
			<-deliver
		}
	})
	source := r.c.TokenSource(t.Context(), "alice", "acme")
	early := make(chan error, 1)
	go func() { _, err := source.Token(); early <- err }()
	r.await("the answer", answered)
	r.rpcs.setHold(nil)
	news := r.c.News("alice", "acme")
	r.disconnect("alice", "acme")
	r.await("the disconnect", news)
	if _, err := source.Token(); err == nil {
		t.Error("a call that began after the disconnect was known got the answer from before")
	}
	close(deliver)
	if err := <-early; err != nil {
		t.Errorf("who asked before: %v", err)
	}
	if _, err := source.Token(); err == nil {
		t.Error("the answer from before was kept")
	}
}

// TestManyWhoAskAtOnceShareOneRPC has the first of them leave before it is made.
func TestManyWhoAskAtOnceShareOneRPC(t *testing.T) {
	r := newRig(t, vaulttest.Config{})
	r.connect("alice", "acme")
	begun, goOn := make(chan struct{}), make(chan struct{})
	r.rpcs.setHold(func(rpc string, answered bool) {
		if rpc == "GetCredentials" && !answered {
			begun <- struct{}{}
			<-goOn
		}
	})
	ctx, leave := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { _, err := r.c.Credentials(ctx, "alice", "acme"); first <- err }()
	r.await("the call", begun)
	var calling sync.WaitGroup
	for range 100 {
		calling.Go(func() {
			if _, err := r.c.Credentials(t.Context(), "alice", "acme"); err != nil {
				t.Error(err)
			}
		})
	}
	leave()
	if err := <-first; err != context.Canceled {
		t.Errorf("who leaves: error = %v", err)
	}
	close(goOn)
	calling.Wait()
	if n := r.rpcs.of("GetCredentials"); n != 1 {
		t.Errorf("%d GetCredentials, want 1", n)
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	const size, questions = 10, 100
	s := vaulttest.New(t, vaulttest.Config{})
	r := rigOn(t, s, client.WithToken(s.Token.Reveal()), client.WithCacheSize(size))
	r.connect("alice", "acme")
	hot := r.c.TokenSource(t.Context(), "alice", "acme")
	mustToken(t, hot)
	for i := range questions {
		mustToken(t, r.c.TokenSource(t.Context(), "alice", "acme", client.WithMinTTL(time.Duration(i+1)*time.Second)))
		mustToken(t, hot)
	}
	if answers, slots, _ := r.c.Kept(); answers > size || slots > size {
		t.Errorf("%d answers in %d slots, want %d at most", answers, slots, size)
	}
	if n := r.rpcs.of("GetCredentials"); n > questions+2 {
		t.Errorf("%d GetCredentials for %d questions: what is used often does not stay", n, questions+1)
	}
}

func TestAnswersDependOnAllThatWasAsked(t *testing.T) {
	issuer := vaulttest.NewIssuer(t, nil)
	r := newRig(t, vaulttest.Config{
		Issuers: []access.Issuer{{URL: issuer.URL}}, SubjectTokens: &access.SubjectTokens{Tenant: "default", Issuer: issuer.URL, Audience: "app"},
	})
	r.connect("alice", "acme")
	tokenOf := func(subject string) client.RequestOption {
		return client.WithSubjectToken(issuer.Token(map[string]any{"aud": "app", "sub": subject}).Reveal())
	}
	alices, bobs := tokenOf("alice"), tokenOf("bob")
	for _, row := range []struct {
		name, subject string
		options       []client.RequestOption
		reason        string
		rpcs          int
	}{
		{"nothing more", "alice", nil, "", 1},
		{"the usual label", "alice", []client.RequestOption{client.WithLabel("default")}, "", 0},
		{"another label", "alice", []client.RequestOption{client.WithLabel("work")}, "NOT_CONNECTED", 1},
		{"scopes", "alice", []client.RequestOption{client.WithRequiredScopes("offline_access")}, "", 1},
		{"scopes that were not granted", "alice", []client.RequestOption{client.WithRequiredScopes("offline_access", "x")}, "SCOPES_MISSING", 1},
		{"her token", "alice", []client.RequestOption{alices}, "", 1},
		{"her token again", "alice", []client.RequestOption{alices}, "", 0},
		{"her token alone", "", []client.RequestOption{alices}, "", 1},
		{"another's token", "alice", []client.RequestOption{bobs}, "INVALID_SUBJECT_TOKEN", 1},
		{"another's token alone", "", []client.RequestOption{bobs}, "NOT_CONNECTED", 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := r.rpcs.of("GetCredentials")
			_, err := r.c.Credentials(t.Context(), row.subject, "acme", row.options...)
			if row.reason == "" && err != nil {
				t.Error(err)
			} else if row.reason != "" {
				wantReason(t, err, row.reason)
			}
			if n := r.rpcs.of("GetCredentials") - before; n != row.rpcs {
				t.Errorf("%d GetCredentials, want %d", n, row.rpcs)
			}
		})
	}
}

// TestWhoseTheAnswerIsMustBeKnownToBeToldOfChanges: with a subject token alone, only the
// vault knows.
func TestWhoseTheAnswerIsMustBeKnownToBeToldOfChanges(t *testing.T) {
	issuer := vaulttest.NewIssuer(t, nil)
	r := newRig(t, vaulttest.Config{
		Issuers: []access.Issuer{{URL: issuer.URL}}, SubjectTokens: &access.SubjectTokens{Tenant: "default", Issuer: issuer.URL, Audience: "app"},
	})
	r.connect("alice", "acme")
	r.watched()
	source := r.c.TokenSource(t.Context(), "", "acme", client.WithSubjectToken(issuer.Token(map[string]any{"aud": "app", "sub": "alice"}).Reveal()))
	mustToken(t, source)
	r.Clock.Advance(31 * time.Second)
	mustToken(t, source)
	if n := r.rpcs.of("GetCredentials"); n != 2 {
		t.Errorf("%d GetCredentials, want 2", n)
	}
}

// TestAnAnswerEndsWithTheSubjectToken: the vault is who looks at those tokens, and many
// programs do not themselves.
func TestAnAnswerEndsWithTheSubjectToken(t *testing.T) {
	issuer := vaulttest.NewIssuer(t, nil)
	r := newRig(t, vaulttest.Config{
		Issuers: []access.Issuer{{URL: issuer.URL}}, SubjectTokens: &access.SubjectTokens{Tenant: "default", Issuer: issuer.URL, Audience: "app"},
	})
	r.connect("alice", "acme")
	r.watched()
	token := issuer.Token(map[string]any{"aud": "app", "sub": "alice", "exp": r.Clock.Now().Add(2 * time.Minute).Unix()})
	ask := func() error {
		_, err := r.c.Credentials(t.Context(), "alice", "acme", client.WithSubjectToken(token.Reveal()))
		return err
	}
	if err := errors.Join(ask(), ask()); err != nil {
		t.Fatal(err)
	}
	if n := r.rpcs.of("GetCredentials"); n != 1 {
		t.Errorf("%d GetCredentials while the token lives, want 1", n)
	}
	r.Clock.Advance(4 * time.Minute) // more than clocks may differ
	wantReason(t, ask(), "INVALID_SUBJECT_TOKEN")
}

func TestAnAPIKeyIsATokenWhereItIsSentLikeOne(t *testing.T) {
	r := newRig(t, vaulttest.Config{})
	_, err := r.Client.SetAPIKey(t.Context(), &tokenvaultv1.SetAPIKeyRequest{Subject: "alice", Provider: "mailchimp", ApiKey: strings.Repeat("0123456789abcdef", 2) + "-us6"})
	if err != nil {
		t.Fatal(err)
	}
	token := mustToken(t, r.c.TokenSource(t.Context(), "alice", "mailchimp"))
	creds, err := r.c.Credentials(t.Context(), "alice", "mailchimp")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := token.TokenType+" "+token.AccessToken, creds.Headers.Reveal()["Authorization"]; got != want || creds.APIKey.IsZero() {
		t.Errorf("the token is not the key as it is sent")
	}
}

func TestCredentialsAreNotPrinted(t *testing.T) {
	r := newRig(t, vaulttest.Config{})
	r.connect("alice", "acme")
	creds, err := r.c.Credentials(t.Context(), "alice", "acme")
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		for what, value := range map[string]any{"credentials": *creds, "pointer to credentials": creds} {
			text := fmt.Sprintf(verb, value)
			if strings.Contains(text, creds.AccessToken.Reveal()) {
				t.Errorf("%s prints a secret of the %s", verb, what)
			}
		}
	}
}

// BenchmarkToken is of a token from memory, by the real clock.
func BenchmarkToken(b *testing.B) {
	r := newRig(b, vaulttest.Config{})
	r.connect("alice", "acme")
	c := newClient(b, r.GRPCAddress, client.WithToken(r.Token.Reveal()))
	source := c.TokenSource(b.Context(), "alice", "acme")
	ask := func() { // without b.Helper, which costs as much
		if _, err := source.Token(); err != nil {
			b.Error(err)
		}
	}
	b.Run("one at a time", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ask()
		}
	})
	b.Run("in parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				ask()
			}
		})
	})
}
