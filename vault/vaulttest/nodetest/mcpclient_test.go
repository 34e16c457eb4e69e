package nodetest

import (
	"encoding/json"
	"testing"
)

// mcpClient is a running client of one of the MCP SDKs for TypeScript.
type mcpClient struct{ *Process }

// server is where a client finds its MCP server: by a URL with a token, or by a
// command with an environment.
type server struct {
	URL     string            `json:"url,omitempty"`
	Token   string            `json:"token,omitempty"`
	Command string            `json:"command,omitempty"`
	Args    []string          `json:"args,omitempty"`
	Env     map[string]string `json:"env,omitempty"`
}

// kind is what a client is of.
type kind struct {
	// SDK is the major version.
	SDK int `json:"sdk"`
	// AsksPeople says that it can send people to a URL (elicitation).
	AsksPeople bool `json:"asksPeople"`
	// Old has version 2 speak as it does unless it is told to ask for the revision.
	Old bool `json:"old"`
}

// Revisions of the protocol.
const (
	older = "2025-11-25"
	newer = "2026-07-28"
)

// revision is that of the protocol which the client speaks.
func (k kind) revision() string {
	if k.SDK == 1 || k.Old {
		return older
	}
	return newer
}

// event is what a client prints: one of these.
type event struct {
	Connected     *connected     `json:"connected"`
	Tools         []listedTool   `json:"tools"`
	Asked         *elicitation   `json:"asked"`
	Completed     string         `json:"completed"`
	Result        *result        `json:"result"`
	Error         *mcpError      `json:"error"`
	InputRequired *inputRequired `json:"inputRequired"`
}

type connected struct{ Revision, Server string }

type listedTool struct {
	Name     string
	ReadOnly bool
}

type elicitation struct{ Mode, URL, Message, ElicitationID string }

type result struct {
	IsError    bool
	Text       string
	Structured map[string]any
}

type mcpError struct {
	Code         int
	Message      string
	Elicitations []elicitation
}

type inputRequired struct {
	InputRequests map[string]struct{ Params elicitation }
	RequestState  string
}

// linkOf is the URL that a person is to open.
func linkOf(t *testing.T, asked *inputRequired) string {
	t.Helper()
	for _, request := range asked.InputRequests {
		return request.Params.URL
	}
	t.Fatal("nothing is asked")
	return ""
}

// openClient starts a client and waits until it has connected.
func openClient(t *testing.T, k kind, s server) *mcpClient {
	t.Helper()
	say, err := json.Marshal(struct {
		kind
		server
	}{k, s})
	if err != nil {
		t.Fatal(err)
	}
	c := &mcpClient{Start(t, script(t, "mcp.mjs", "MCP_CLIENT="+string(say)))}
	got := c.next().Connected
	if want := (connected{k.revision(), "mailchimp-mcp"}); got == nil || *got != want {
		t.Fatalf("the client connects to %+v, want %+v", got, want)
	}
	return c
}

// next waits for what the client prints next.
func (c *mcpClient) next() event {
	c.t.Helper()
	var e event
	c.Read(&e)
	return e
}

// order has the client do something.
func (c *mcpClient) order(o map[string]any) {
	c.t.Helper()
	line, err := json.Marshal(o)
	if err != nil {
		c.t.Fatal(err)
	}
	c.Say(string(line))
}

// call has it call a tool.
func (c *mcpClient) call(tool string, arguments map[string]any) {
	c.t.Helper()
	params := map[string]any{"name": tool}
	if arguments != nil {
		params["arguments"] = arguments
	}
	c.order(map[string]any{"call": params})
}

// answer has it answer what the server asks.
func (c *mcpClient) answer(action string) {
	c.t.Helper()
	c.order(map[string]any{"answer": action})
}

// tools are those that the server lists.
func (c *mcpClient) tools() []listedTool {
	c.t.Helper()
	c.order(map[string]any{"list": true})
	return c.next().Tools
}

// result waits for a tool's answer. That an elicitation is complete may be told twice,
// for clients that are slow to listen.
func (c *mcpClient) result() result {
	c.t.Helper()
	e := c.next()
	for e.Completed != "" {
		e = c.next()
	}
	if e.Result == nil {
		c.t.Fatalf("the client prints %s, want the tool's answer", describe(e))
	}
	return *e.Result
}

// close ends the client, which must have nothing more to say.
func (c *mcpClient) close() {
	c.t.Helper()
	if err := c.input.Close(); err != nil {
		c.t.Fatal(err)
	}
	c.End()
}

func describe(e event) string {
	text, err := json.Marshal(e)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
