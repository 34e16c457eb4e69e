package vaulttest_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

const newSecret = "rotated-secret-canary"

// secretsSeen counts with which secrets the token endpoint was asked.
type secretsSeen struct {
	mu    sync.Mutex
	times map[string]int
}

// watchSecrets has each token request take a moment, and counts its secret.
func watchSecrets(t *testing.T, e *vaulttest.Engine) *secretsSeen {
	t.Helper()
	seen := &secretsSeen{times: map[string]int{}}
	e.Sandbox.Fault(sandbox.Token, sandbox.Fault{Delay: 50 * time.Millisecond, Before: func(r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		seen.mu.Lock()
		defer seen.mu.Unlock()
		seen.times[r.PostForm.Get("client_secret")]++
	}})
	return seen
}

func (s *secretsSeen) of(clientSecret string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.times[clientSecret]
}

// load is callers of all kinds, each of whom must never see an error.
type load struct {
	e       *vaulttest.Engine
	stop    chan struct{}
	callers sync.WaitGroup

	mu     sync.Mutex
	done   map[string]int
	failed []error
}

// loadSubjects is how many connections are refreshed at once.
const loadSubjects = 16

func newLoad(t *testing.T, e *vaulttest.Engine) *load {
	l := &load{e: e, stop: make(chan struct{}), done: map[string]int{}}
	var subjects []string
	for i := range loadSubjects {
		subjects = append(subjects, fmt.Sprintf("subject-%d", i))
	}
	e.MustConnect(subjects...)
	for i, subject := range subjects {
		l.repeat(i, "refresh", func() error {
			_, err := e.Vault.RefreshConnection(t.Context(), e.Key(subject))
			return err
		})
		l.repeat(i, "credentials", func() error {
			creds, err := e.Credentials(subject)
			if err == nil && !e.Sandbox.Valid(creds.AccessToken.Reveal()) {
				// A refresh may have been faster than the look at the token.
				if again, err := e.Credentials(subject); err != nil || again.AccessToken == creds.AccessToken {
					return errors.New("a token that does not work")
				}
			}
			return err
		})
	}
	for i := range 4 {
		l.repeat(i, "flow", func() error { return e.Connect(fmt.Sprintf("flow-%d", i), vaulttest.Ada) })
	}
	return l
}

// repeat does something over and over, every 300 milliseconds or so.
func (l *load) repeat(i int, what string, do func() error) {
	l.callers.Go(func() {
		pause := time.Duration(300+7*i) * time.Millisecond
		for {
			err := do()
			l.mu.Lock()
			l.done[what]++
			if err != nil {
				l.failed = append(l.failed, fmt.Errorf("%s: %w", what, err))
			}
			l.mu.Unlock()
			select {
			case <-l.stop:
				return
			case <-time.After(pause):
			}
		}
	})
}

// end stops the load and checks that nobody has noticed anything.
func (l *load) end(t *testing.T) {
	t.Helper()
	close(l.stop)
	l.callers.Wait()
	for i, err := range l.failed {
		if i == 3 {
			t.Errorf("and %d more", len(l.failed)-i)
			break
		}
		t.Error(err)
	}
	if l.done["refresh"] < 10*loadSubjects || l.done["flow"] < 20 {
		t.Errorf("there was no load to speak of: %v", l.done)
	}
	page, err := l.e.Vault.ListConnections(t.Context(), vault.ListRequest{Tenant: vault.DefaultTenant})
	if err != nil || len(page.Connections) != loadSubjects+4 {
		t.Fatalf("%d connections, %v", len(page.Connections), err)
	}
	for _, conn := range page.Connections {
		if conn.Status != vault.Connected || conn.Problem != "" {
			t.Errorf("%s: status %v, problem %q", conn.Key.Subject, conn.Status, conn.Problem)
		}
	}
}

func rotate(t *testing.T, v *vault.Vault, grace time.Duration) {
	t.Helper()
	before := time.Now()
	info, err := v.RotateClientSecret(t.Context(), "acme", secret.New(newSecret), grace)
	if err != nil || info.SecretRotateTime.Before(before.Truncate(time.Second)) {
		t.Errorf("RotateClientSecret: %+v, %v", info, err)
	}
}

// TestNobodyNoticesThatASecretIsRotated rotates at the provider and in the vault,
// two seconds apart, while everybody is at work.
func TestNobodyNoticesThatASecretIsRotated(t *testing.T) {
	t.Parallel()
	const grace = time.Minute
	inVault := func(t *testing.T, e *vaulttest.Engine) { rotate(t, e.Vault, grace) }
	swap := func(_ *testing.T, e *vaulttest.Engine) { e.Sandbox.SetSecrets(vaulttest.ClientID, newSecret) }
	overlap := func(_ *testing.T, e *vaulttest.Engine) {
		e.Sandbox.SetSecrets(vaulttest.ClientID, newSecret, e.Seat.ClientSecret)
	}
	for _, row := range []struct {
		name  string
		steps []func(*testing.T, *vaulttest.Engine)
	}{
		{"in the vault first", []func(*testing.T, *vaulttest.Engine){inVault, swap}},
		{"at the provider first", []func(*testing.T, *vaulttest.Engine){swap, inVault}},
		{"in the vault first, with an overlap", []func(*testing.T, *vaulttest.Engine){inVault, overlap, swap}},
		{"at the provider first, with an overlap", []func(*testing.T, *vaulttest.Engine){overlap, inVault, swap}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
				old := e.Seat.ClientSecret
				seen := watchSecrets(t, e)
				l := newLoad(t, e)
				time.Sleep(2 * time.Second)
				for _, step := range row.steps {
					step(t, e)
					time.Sleep(2 * time.Second)
				}
				l.end(t)

				if seen.of(newSecret) == 0 {
					t.Error("the new secret was never tried")
				}
				time.Sleep(grace)
				before := seen.of(old)
				if _, err := e.Vault.RefreshConnection(t.Context(), e.Key("subject-0")); err != nil {
					t.Errorf("after the grace: %v", err)
				}
				e.Sandbox.SetSecrets(vaulttest.ClientID, old) // no more of ours
				if _, err := e.Vault.RefreshConnection(t.Context(), e.Key("subject-0")); vault.ReasonOf(err) != vault.ProviderMisconfigured {
					t.Errorf("with the old secret alone, after the grace: %v, want PROVIDER_MISCONFIGURED", err)
				}
				if after := seen.of(old); after != before {
					t.Errorf("the old secret was tried %d times after its grace", after-before)
				}
			})
		})
	}
}

// TestAWrongSecretIsWaitedForOnce has the client be wrong for good.
func TestAWrongSecretIsWaitedForOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{Quiet: true})
		e.MustConnect("alice")
		e.Sandbox.SetSecrets(vaulttest.ClientID, newSecret)
		for _, want := range []time.Duration{5 * time.Second, 0, 0} {
			before := time.Now()
			_, err := e.Vault.RefreshConnection(t.Context(), e.Key("alice"))
			if waited := time.Since(before); vault.ReasonOf(err) != vault.ProviderMisconfigured || waited != want {
				t.Errorf("waited %v for %v, want %v for PROVIDER_MISCONFIGURED", waited, err, want)
			}
		}
		rotate(t, e.Vault, time.Minute)
		if _, err := e.Vault.RefreshConnection(t.Context(), e.Key("alice")); err != nil {
			t.Errorf("with the right secret: %v", err)
		}
	})
}

func TestARotatedSecretIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &vaulttest.Log{}
		e := vaulttest.NewEngine(t, vaulttest.EngineConfig{Log: slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})})
		e.MustConnect("alice", "bob")
		other, stop := e.Another()
		rotate(t, e.Vault, time.Hour)
		e.Sandbox.SetSecrets(vaulttest.ClientID, newSecret)
		synctest.Wait()
		seen := watchSecrets(t, e)
		use := func(when string, v *vault.Vault, want string) {
			t.Helper()
			before := seen.of(want)
			if _, err := v.RefreshConnection(t.Context(), e.Key("alice")); err != nil {
				t.Errorf("%s: %v", when, err)
			}
			if seen.of(want) != before+1 || len(seen.times) != 1 {
				t.Errorf("%s: the secrets tried are %v times these: %d", when, seen.of(want), len(seen.times))
			}
		}
		use("in another process", other, newSecret)
		if at := other.ListProviders(nil)[0].SecretRotateTime; at.IsZero() {
			t.Error("another process does not tell when the secret was rotated")
		}
		stop()
		e.Restart()
		use("after a restart", e.Vault, newSecret)
		if info := fmt.Sprintf("%+v", e.Vault.ListProviders(nil)); strings.Contains(info, "canary") || !strings.Contains(info, "2000-01-01") {
			t.Errorf("the list of providers = %s; want the time of the rotation in it, and no secret", info)
		}

		e.Stop()
		wantNotInFile(t, e.Seat.DatabasePath, newSecret)
		if text := log.String(); strings.Contains(text, "canary") || !strings.Contains(text, "client secret rotated") {
			t.Errorf("the log = %s\nwant the rotation in it, and no secret", text)
		}

		// The operator writes a newer one into the configuration.
		e.Seat.ClientSecret = "newest-secret"
		e.Sandbox.SetSecrets(vaulttest.ClientID, "newest-secret")
		seen.times = map[string]int{}
		e.Restart()
		use("with a newer secret in the configuration", e.Vault, "newest-secret")
		if at := e.Vault.ListProviders(nil)[0].SecretRotateTime; !at.IsZero() {
			t.Errorf("the configuration's secret is said to have been rotated at %v", at)
		}
	})
}

func wantNotInFile(t *testing.T, path, text string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), text) {
		t.Error("a secret is in the database in the clear")
	}
}

func TestRotationsAreChecked(t *testing.T) {
	t.Parallel()
	e := vaulttest.NewEngine(t, vaulttest.EngineConfig{Quiet: true})
	for _, row := range []struct {
		name, provider, secret string
		grace                  time.Duration
		want                   vault.Reason
	}{
		{"no such provider", "nobody", newSecret, 0, vault.ProviderUnknown},
		{"no secret", "acme", "", 0, vault.InvalidClientSecret},
		{"not printable", "acme", "canary\n", 0, vault.InvalidClientSecret},
		{"too long", "acme", strings.Repeat("canary", 1000), 0, vault.InvalidClientSecret},
		{"a grace of more than 30 days", "acme", newSecret, 31 * 24 * time.Hour, vault.InvalidGrace},
		{"a negative grace", "acme", newSecret, -1, vault.InvalidGrace},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := e.Vault.RotateClientSecret(t.Context(), row.provider, secret.New(row.secret), row.grace)
			if vault.ReasonOf(err) != row.want || strings.Contains(err.Error(), "canary") {
				t.Errorf("error = %v, want %s without the secret", err, row.want)
			}
		})
	}
}
