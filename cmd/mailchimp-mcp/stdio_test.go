package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
	"github.com/tokenvault/tokenvault/vault/vaulttest/mcptest"
)

// TestOverStdioACallConnectsAndGoesOn is the whole thing: a person without an account is
// asked to connect one, and gets the answer of the call that they began with.
func TestOverStdioACallConnectsAndGoesOn(t *testing.T) {
	for _, binding := range []vault.Binding{vault.BindingLink, vault.BindingConfirm} {
		for _, revision := range revisions() {
			t.Run(string(binding)+" "+revision, func(t *testing.T) {
				s := vaulttest.New(t, vaulttest.Config{Binding: binding, ReturnURLs: []string{"http://127.0.0.1/*"}})
				p := command(t, vaultEnv(s, "TOKENVAULT_SUBJECT=alice"))
				alice := newPerson(t, s, vaulttest.Ada)
				session := alice.connect(revision, &mcp.CommandTransport{Command: p.Cmd})
				if names := toolNames(t, session); !names["get_account"] || !names["list_audiences"] || names["create_campaign_draft"] {
					t.Errorf("the tools are %v, want those that read and no others", names)
				}
				wantAccount(t, session, vaulttest.Ada)
				wantAccount(t, session, vaulttest.Ada)
				if links := alice.links(); len(links) != 1 {
					t.Errorf("the person was asked to open %q, want one link", links)
				}
				if err := session.Close(); err != nil {
					t.Errorf("the process ends with %v", err)
				}
				if !p.ProcessState.Success() {
					t.Errorf("the process ends with %v", p.ProcessState)
				}
				wantSilent(t, p.log.String(), secretsOf(t, s, "alice"))
			})
		}
	}
}

// TestACallerNeedsNoMoreThanThis is what operators are told to allow.
func TestACallerNeedsNoMoreThanThis(t *testing.T) {
	token := access.GenerateToken()
	s := vaulttest.New(t, vaulttest.Config{
		Binding: vault.BindingConfirm, ReturnURLs: []string{"http://127.0.0.1/*"},
		Rules: []access.Rule{{
			Name: "mailchimp-mcp", Tenant: vault.DefaultTenant, Tokens: access.HashTokens(token),
			RPCs:      []string{"GetCredentials", "Connect", "ConfirmConnection", "RefreshConnection", "WatchConnections"},
			Providers: []string{"mailchimp"}, Subjects: []string{"*"},
		}},
	})
	p := command(t, []string{"TOKENVAULT_ADDR=" + s.GRPCAddress, "TOKENVAULT_TOKEN=" + token.Reveal(), "TOKENVAULT_SUBJECT=alice"})
	session := newPerson(t, s, vaulttest.Ada).connect("2026-07-28", &mcp.CommandTransport{Command: p.Cmd})
	wantAccount(t, session, vaulttest.Ada)
	if err := session.Close(); err != nil {
		t.Error(err)
	}
	if log := p.log.String(); strings.Contains(log, "CALLER_FORBIDDEN") || strings.Contains(log, "PermissionDenied") {
		t.Errorf("the log says\n%s", log)
	}
}

func TestItSaysWhoItIs(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	session := newPerson(t, s, vaulttest.Ada).connect("2025-11-25", &mcp.CommandTransport{Command: command(t, vaultEnv(s), "--subject", "alice").Cmd})
	said := session.InitializeResult()
	if said.ServerInfo.Name != "mailchimp-mcp" || said.ServerInfo.Title != "Mailchimp" || said.ServerInfo.Version == "" {
		t.Errorf("server info = %+v", said.ServerInfo)
	}
	if !strings.Contains(said.Instructions, "Mailchimp") {
		t.Errorf("instructions = %q", said.Instructions)
	}
}

func TestWritesAreOfferedWhereTheyAreAllowed(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	session := newPerson(t, s, vaulttest.Ada).connect("2026-07-28", &mcp.CommandTransport{Command: command(t, vaultEnv(s, "TOKENVAULT_SUBJECT=alice"), "--allow-writes").Cmd})
	if names := toolNames(t, session); !names["get_account"] || !names["create_campaign_draft"] {
		t.Errorf("the tools are %v, want those that write, too", names)
	}
}

// rawStdio is a process whose input the test writes itself.
func rawStdio(t *testing.T, s *vaulttest.Stack) (p *process, input io.WriteCloser, answers *output) {
	t.Helper()
	p, answers = command(t, vaultEnv(s, "TOKENVAULT_SUBJECT=alice")), &output{}
	p.Stdout = answers
	input, err := p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.start(t)
	return p, input, answers
}

func TestOverStdioItEndsWithItsInput(t *testing.T) {
	p, input, _ := rawStdio(t, vaulttest.New(t, vaulttest.Config{}))
	if err := input.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.awaitEnd(); err != nil {
		t.Errorf("it ends with %v:\n%s", err, p.log)
	}
}

func TestOverStdioItEndsWhenItIsToldTo(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			p, input, answers := rawStdio(t, vaulttest.New(t, vaulttest.Config{}))
			say(t, input, "initialize", map[string]any{"protocolVersion": "2025-11-25", "capabilities": map[string]any{}, "clientInfo": map[string]any{"name": "client", "version": "1"}})
			answers.await(t, `"serverInfo"`)
			if err := p.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			if err := p.awaitEnd(); err != nil {
				t.Errorf("it ends with %v:\n%s", err, p.log)
			}
		})
	}
}

// TestOverStdioNothingButTheProtocolIsOnStandardOutput guards clients, which take every
// line for a message.
func TestOverStdioNothingButTheProtocolIsOnStandardOutput(t *testing.T) {
	p, input, answers := rawStdio(t, vaulttest.New(t, vaulttest.Config{}))
	say(t, input, "initialize", map[string]any{"protocolVersion": "2025-11-25", "capabilities": map[string]any{}, "clientInfo": map[string]any{"name": "client", "version": "1"}})
	answers.await(t, `"serverInfo"`)
	say(t, input, "tools/call", map[string]any{"name": "get_account", "arguments": map[string]any{}})
	answers.await(t, `No Mailchimp account is connected`)
	if err := input.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.awaitEnd(); err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(answers.String()) {
		var message struct {
			Version string `json:"jsonrpc"`
		}
		if err := json.Unmarshal([]byte(line), &message); err != nil || message.Version != "2.0" {
			t.Errorf("standard output has the line %q", line)
		}
	}
}

// say writes a request.
func say(t *testing.T, w io.Writer, method string, params any) {
	t.Helper()
	if err := json.NewEncoder(w).Encode(map[string]any{"jsonrpc": "2.0", "id": method, "method": method, "params": params}); err != nil {
		t.Fatal(err)
	}
}

// keyEnv leads to an account of the sandbox's, without a vault.
func keyEnv(s *vaulttest.Stack, more ...string) []string {
	key := sandbox.DefaultAPIKey()
	dataCenter := key[strings.LastIndex(key, "-")+1:]
	return append([]string{"MAILCHIMP_API_KEY=" + key, "MAILCHIMP_API_URL=" + s.SandboxURL + "/mailchimp/" + dataCenter + "/3.0"}, more...)
}

func TestAnAPIKeyWillDoWithoutAVault(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	p := command(t, keyEnv(s))
	nobody := newPerson(t, s, vaulttest.Grace)
	session := nobody.connect("2026-07-28", &mcp.CommandTransport{Command: p.Cmd})
	wantAccount(t, session, vaulttest.Ada)
	if err := session.Close(); err != nil {
		t.Error(err)
	}
	if links := nobody.links(); len(links) > 0 {
		t.Errorf("somebody is asked to open %q", links)
	}
	wantSilent(t, p.log.String(), map[string]string{"API key": sandbox.DefaultAPIKey()})
}

// TestOverStdioItEndsThoughACallWaits guards people who close their MCP client in place of
// opening the link. That is no error, however the client goes.
func TestOverStdioItEndsThoughACallWaits(t *testing.T) {
	for _, row := range []struct {
		name  string
		leave func(p *process, input io.Closer) error
	}{
		{"the client closes its end", func(_ *process, input io.Closer) error { return input.Close() }},
		{"the client ends the server", func(p *process, _ io.Closer) error { return p.Process.Signal(syscall.SIGTERM) }},
		{"the client does both", func(p *process, input io.Closer) error {
			return errors.Join(input.Close(), p.Process.Signal(syscall.SIGTERM))
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			p, input, called := waitingCall(t)
			if err := row.leave(p, input); err != nil {
				t.Fatal(err)
			}
			if err := p.awaitEnd(); err != nil {
				t.Errorf("the process ends with %v:\n%s", err, p.log)
			}
			<-called
			if log := p.log.String(); strings.Contains(log, "Error:") || strings.Contains(log, "level=ERROR") {
				t.Errorf("it takes that for an error:\n%s", log)
			}
		})
	}
}

// waitingCall starts a process in which a call waits for a person. The call ends with the
// process.
func waitingCall(t *testing.T) (p *process, input io.WriteCloser, called <-chan struct{}) {
	t.Helper()
	p = command(t, vaultEnv(vaulttest.New(t, vaulttest.Config{}), "TOKENVAULT_SUBJECT=alice"))
	input, err := p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	answers, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.start(t)
	options := &mcp.ClientOptions{}
	(&mcptest.App{Open: func(context.Context, string) string { return "accept" }}).Install(options) // but nobody opens the link
	client := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1"}, options)
	calls := callsIn{input, make(chan struct{}, 10)}
	session, err := client.Connect(t.Context(), &mcp.IOTransport{Reader: answers, Writer: calls}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = session.CallTool(t.Context(), &mcp.CallToolParams{Name: "get_account"}) // fails, since the server ends
	}()
	<-calls.written
	<-calls.written // the one that waits
	return p, input, ended
}

// callsIn tells of the calls that a client writes.
type callsIn struct {
	io.WriteCloser
	written chan struct{}
}

func (c callsIn) Write(b []byte) (int, error) {
	n, err := c.WriteCloser.Write(b)
	if strings.Contains(string(b), `"tools/call"`) {
		c.written <- struct{}{}
	}
	return n, err
}
