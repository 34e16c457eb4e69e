package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

// output is what a process prints.
type output struct {
	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{} // closed when there is more
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed != nil {
		close(o.changed)
	}
	o.changed = make(chan struct{})
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (o *output) news() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed == nil {
		o.changed = make(chan struct{})
	}
	return o.changed
}

// await waits until something is printed, and returns the pattern's group.
func (o *output) await(t *testing.T, pattern string) string {
	t.Helper()
	expression := regexp.MustCompile(pattern)
	deadline := time.After(patience)
	for {
		changed := o.news()
		if match := expression.FindStringSubmatch(o.String()); match != nil {
			return match[len(match)-1]
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%q is not printed, but\n%s", pattern, o)
		}
	}
}

// process is a mailchimp-mcp.
type process struct {
	*exec.Cmd
	log  *output // standard error
	ends func() error
}

// command returns a process that is not started yet. Its environment is env alone, with
// what any program needs.
func command(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	program, err := exec.LookPath("mailchimp-mcp")
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.Command(program, append([]string{"--log-level", "debug"}, args...)...), log: &output{}}
	p.Dir = t.TempDir()
	p.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.Dir}, env...)
	p.Stderr = p.log
	return p
}

// vaultEnv leads to a stack's vault.
func vaultEnv(s *vaulttest.Stack, more ...string) []string {
	return append([]string{"TOKENVAULT_ADDR=" + s.GRPCAddress, "TOKENVAULT_TOKEN=" + s.Token.Reveal()}, more...)
}

// start starts a process that the test ends: by the end of the test at the latest.
func (p *process) start(t *testing.T) {
	t.Helper()
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	p.ends = sync.OnceValue(p.Wait)
	t.Cleanup(func() {
		_ = p.Process.Signal(syscall.SIGTERM)
		if err := p.awaitEnd(); err != nil {
			t.Errorf("the process ends with %v:\n%s", err, p.log)
		}
	})
}

// awaitEnd waits for the end, and kills the process where that does not come.
func (p *process) awaitEnd() error {
	late := time.AfterFunc(patience, func() { _ = p.Process.Kill() })
	defer late.Stop()
	return p.ends()
}

// startHTTP starts a process over HTTP, and returns the URL of its endpoint.
func startHTTP(t *testing.T, env []string, args ...string) (p *process, endpoint string) {
	t.Helper()
	p = command(t, env, append([]string{"--http", "127.0.0.1:0"}, args...)...)
	p.start(t)
	return p, p.log.await(t, `msg=serving .* mcp=(\S+)`)
}

// withToken is a transport over HTTP that shows a token.
func withToken(endpoint string, token secret.String) mcp.Transport {
	return &mcp.StreamableClientTransport{Endpoint: endpoint, HTTPClient: &http.Client{Transport: showing(token)}, MaxRetries: -1}
}

type showing secret.String

func (s showing) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+secret.String(s).Reveal())
	return http.DefaultTransport.RoundTrip(req)
}

// call calls a tool, and returns what it says.
func call(t *testing.T, session *mcp.ClientSession, tool string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: map[string]any{}})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	var text strings.Builder
	for _, content := range result.Content {
		if said, ok := content.(*mcp.TextContent); ok {
			text.WriteString(said.Text)
		}
	}
	if result.IsError {
		t.Fatalf("%s fails: %s", tool, &text)
	}
	return text.String()
}

// wantAccount fails unless the tools work with an account of the sandbox's.
func wantAccount(t *testing.T, session *mcp.ClientSession, account int) {
	t.Helper()
	if got, want := call(t, session, "get_account"), fmt.Sprintf(`"account_id":"%d"`, account); !strings.Contains(got, want) {
		t.Errorf("get_account says %s, want %s in it", got, want)
	}
}

// toolNames lists the tools.
func toolNames(t *testing.T, session *mcp.ClientSession) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for tool, err := range session.Tools(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		names[tool.Name] = true
	}
	return names
}

// secretsOf are the vault's, and the tokens that people have at Mailchimp.
func secretsOf(t *testing.T, s *vaulttest.Stack, subjects ...string) map[string]string {
	t.Helper()
	all := s.Secrets()
	for _, subject := range subjects {
		credentials, err := s.Client.GetCredentials(t.Context(), &tokenvaultv1.GetCredentialsRequest{Subject: subject, Provider: "mailchimp"})
		if err != nil {
			t.Fatal(err)
		}
		all["token of "+subject] = credentials.GetOauth2().GetAccessToken()
	}
	return all
}

// wantSilent fails if a log has a secret in it.
func wantSilent(t *testing.T, log string, secrets map[string]string) {
	t.Helper()
	if log == "" {
		t.Error("nothing is logged at all: this shows nothing")
	}
	for name, text := range secrets {
		if text == "" {
			t.Errorf("the %s is not known: this shows nothing", name)
		} else if strings.Contains(log, text) {
			t.Errorf("the log has the %s in it:\n%s", name, log)
		}
	}
}
