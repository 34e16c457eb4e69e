package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// locked is an output of many goroutines.
type locked struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// runDev runs a development vault in a folder until the test ends, and returns its
// log. Binding: empty for link.
func runDev(t *testing.T, dir string, binding vault.Binding) *locked {
	t.Helper()
	addresses, err := freeAddresses(3)
	if err != nil {
		t.Fatal(err)
	}
	log := &locked{}
	d := development{dir: dir, grpc: addresses[0], http: addresses[1], sandbox: addresses[2], binding: binding}
	ctx, stop := context.WithCancel(t.Context())
	ready, stopped := make(chan secret.String, 1), make(chan error, 1)
	go func() {
		stopped <- d.run(ctx, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})), func(token secret.String) { ready <- token })
	}()
	t.Cleanup(func() {
		stop()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
	select {
	case token := <-ready:
		t.Setenv("TOKENVAULT_ADDR", d.grpc)
		t.Setenv("TOKENVAULT_TOKEN", token.Reveal())
	case err := <-stopped:
		stopped <- nil
		t.Fatal(err)
	}
	return log
}

// issued are the codes and tokens that the made-up provider has in its state.
func issued(t *testing.T, dir string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, devSandboxState))
	if err != nil {
		t.Fatal(err)
	}
	var state map[string]json.RawMessage
	if err := json.Unmarshal(data, &state); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, name := range []string{"codes", "access_tokens", "refresh_tokens", "devices"} {
		entries := map[string]any{}
		_ = json.Unmarshal(state[name], &entries) // absent, where there are none
		all = slices.AppendSeq(all, maps.Keys(entries))
	}
	return all
}

// shows reports whether a text has one of the secrets.
func shows(text string, secrets []string) bool {
	return slices.ContainsFunc(secrets, func(s string) bool {
		return strings.Contains(text, s) || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(s))) || strings.Contains(text, hex.EncodeToString([]byte(s)))
	})
}

func TestCommandsShowNoSecretButWhatIsAskedFor(t *testing.T) {
	dir := t.TempDir()
	log := runDev(t, dir, "")
	var kept []string // what nobody ever sees
	for _, name := range []string{devMasterKey, devCallerToken, devClientSecret} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, strings.TrimSpace(string(data)))
	}
	apiKey, rotated := "0123456789abcdef0123456789abcdef-us6", "rotated-canary-0123456789"
	kept = append(kept, rotated)
	t.Setenv("API_KEY", apiKey)
	t.Setenv("ROTATED", rotated)
	outputs := map[string]string{}
	try := func(args ...string) string {
		var out, errs bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		run(ctx, args, &out, &errs)
		if ctx.Err() != nil {
			t.Errorf("%v does not end", args)
		}
		outputs[strings.Join(args, " ")] = out.String() + errs.String()
		return out.String()
	}
	var link struct{ ConnectURL string }
	if err := json.Unmarshal([]byte(try("connect", "--json", "alice", "acme")), &link); err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	page, err := sandbox.Person{Client: &http.Client{Jar: jar}}.Approve(t.Context(), link.ConnectURL, sandbox.DefaultAccounts()[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(page.Body); err != nil || !strings.Contains(string(body), "is connected") {
		t.Fatalf("the browser ended at %d, %v:\n%s", page.StatusCode, err, body)
	}
	config := filepath.Join(dir, devConfig)
	for _, flags := range [][]string{nil, {"--json"}} {
		for _, args := range [][]string{
			{"api-key", "set", "kim", "mailchimp", "--key", "env:API_KEY"}, {"api-key", "set", "kim", "mailchimp", "--key", apiKey}, {"api-key", "set", "kim", "acme", "--key", "env:API_KEY"},
			{"provider", "rotate-secret", "acme", "--secret", "env:ROTATED"}, {"provider", "rotate-secret", "acme", "--secret", rotated}, {"provider", "rotate-secret", "none", "--secret", "env:ROTATED"},
			{"refresh", "alice", "acme"}, {"refresh", "kim", "mailchimp"}, {"list"}, {"status", "alice", "acme"}, {"status", "kim", "mailchimp"},
			{"connect", "--client-credentials", "robot", "acme"}, {"connect", "bob", "none"}, {"credentials", "nobody", "acme"}, {"credentials", "alice", "acme", "--scope", "none"},
			{"provider", "list"}, {"provider", "show", "acme", "--config", config}, {"provider", "test", "acme", "--config", config}, {"config", "check", "--config", config},
			{"audit", "verify"}, {"audit", "tail", "--config", config}, {"disconnect", "bob", "acme"}, {"disconnect", "robot", "acme"},
		} {
			try(append(args, flags...)...)
		}
	}
	outputs["the log"] = log.String()
	secrets := append(issued(t, dir), kept...)
	if n := len(secrets); n < 10 {
		t.Errorf("only %d secrets are known: this test shows little", n)
	}
	for command, output := range outputs {
		if shows(output, append(secrets, apiKey)) {
			t.Errorf("%s shows a secret:\n%s", command, output)
		}
	}
	// What is asked for is the token, and nothing else.
	if token := try("credentials", "alice", "acme", "--json"); !shows(token, issued(t, dir)) || shows(token, kept) {
		t.Errorf("credentials are\n%s", token)
	}
}
