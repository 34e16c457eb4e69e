package mcpauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"maps"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenvault/tokenvault/vault/client"
)

// The revisions of MCP that ask people in ways of their own.
const (
	revisionElicitation = "2025-11-25" // with the error -32042
	revisionRounds      = "2026-07-28" // with input requests
)

// call is one round of a call of a tool.
type call struct {
	auth *Auth
	conn *Connection
	// req is what the handler gets: without what is this package's.
	req *mcp.CallToolRequest
	// arguments is the hash of the call's.
	arguments [sha256.Size]byte
	// state is what the client has kept for this package. Nil: nothing.
	state *state
	// action is what the person has answered: accept, decline or cancel. Empty: nothing.
	action string
}

// begin reads a request.
func (a *Auth) begin(ctx context.Context, req *mcp.CallToolRequest) (*call, error) {
	subject, err := a.config.Subject(ctx, req)
	if err == nil && subject == "" {
		err = errors.New("mcpauth: the Subject function has returned none")
	}
	if err != nil {
		a.log.WarnContext(ctx, "mcpauth: it is not known for whom a call is", slog.String("tool", req.Params.Name), slog.Any("cause", err))
		return nil, errors.New("this server does not know for whom this call is, so nothing was done. The person has to sign in to this server; calling the tool again does not help before that")
	}
	c := &call{auth: a, conn: &Connection{subject: subject, provider: a.config.Provider, label: a.config.Label, vault: a.config.Vault}, req: req}
	if c.arguments, err = hashArguments(req.Params.Arguments); err != nil {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "the arguments are not JSON"}
	}
	if err := c.takeOurs(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// takeOurs takes what is this package's out of the request.
func (c *call) takeOurs(ctx context.Context) error {
	params := c.req.Params
	answer, answered := params.InputResponses[InputKey]
	if !answered && !isOurs(params.RequestState) {
		return nil
	}
	stripped := *params
	stripped.InputResponses = maps.Clone(params.InputResponses)
	delete(stripped.InputResponses, InputKey)
	if len(stripped.InputResponses) == 0 {
		stripped.InputResponses = nil
	}
	if isOurs(params.RequestState) {
		st, err := c.auth.sealer.open(params.RequestState)
		if err == nil {
			err = c.check(st)
		}
		if err != nil {
			c.auth.log.WarnContext(ctx, "mcpauth: a call came with a request state that is not for it", slog.String("tool", params.Name), slog.Any("cause", err))
			return &jsonrpc.Error{
				Code:    jsonrpc.CodeInvalidParams,
				Message: "the requestState is not for this call: call the tool anew, without requestState and inputResponses",
			}
		}
		if c.auth.flows.now().Before(st.End) {
			c.state = st
		}
		stripped.RequestState = ""
	}
	if elicited, ok := answer.(*mcp.ElicitResult); ok && c.state != nil {
		c.action = elicited.Action
	}
	request := *c.req
	request.Params = &stripped
	c.req = &request
	return nil
}

// check refuses a state that is another call's.
func (c *call) check(st *state) error {
	switch {
	case st.Subject != c.conn.subject:
		return errors.New("it was made for another subject")
	case st.Provider != c.conn.provider || st.Label != c.conn.label:
		return errors.New("it was made for another connection")
	case st.Tool != c.req.Params.Name:
		return errors.New("it was made for another tool")
	case string(st.Arguments) != string(c.arguments[:]):
		return errors.New("it was made for other arguments")
	}
	return nil
}

// ready returns nil and nil when there are credentials to run the tool with. A result
// asks the person; an error is for the model.
func (c *call) ready(ctx context.Context) (*mcp.CallToolResult, error) {
	switch c.action {
	case "decline":
		return nil, c.auth.declined("the person has declined")
	case "cancel":
		return nil, c.auth.declined("the person has put the question away")
	}
	if err := c.await(ctx); err != nil {
		return nil, err
	}
	credentials, err := c.conn.Credentials(ctx)
	if err != nil {
		return c.settle(ctx, err)
	}
	if c.state != nil && c.state.Refused == credentials.Generation {
		return c.ask(ctx, c.state.Refused)
	}
	return nil, nil
}

// isReplaced reports whether an error is about credentials in whose place there are
// others: the client of the provider's API has renewed them, or the person has connected
// meanwhile.
func (c *call) isReplaced(ctx context.Context, err error) bool {
	r, ok := errors.AsType[*refused](err)
	if !ok {
		return false
	}
	now, err := c.conn.Credentials(ctx)
	return err == nil && now.Generation != r.generation
}

// settle makes of an error of the vault's or the handler's what the client is told: a
// result that asks the person, or an error.
func (c *call) settle(ctx context.Context, err error) (*mcp.CallToolResult, error) {
	if r, ok := errors.AsType[*refused](err); ok && r.generation != 0 {
		c.auth.log.WarnContext(ctx, "mcpauth: the provider refuses the credentials", slog.String("tool", c.req.Params.Name), slog.Any("cause", r.cause))
		return c.ask(ctx, r.generation)
	}
	if missing, ok := errors.AsType[*client.ConnectRequired](err); ok && c.isFor(missing.Err) {
		if missing.Err.Reason == "REAUTHORIZATION_REQUIRED" {
			return c.ask(ctx, deadGrant)
		}
		return c.ask(ctx, 0)
	}
	if failed, ok := errors.AsType[*client.Error](err); ok {
		return nil, c.auth.inWords(ctx, c.req.Params.Name, failed)
	}
	return nil, err
}

// isFor reports whether an error is about the connection of this call: another one's
// link does not help it.
func (c *call) isFor(e *client.Error) bool {
	return e.Subject == c.conn.subject && e.Provider == c.conn.provider && e.Label == c.conn.label
}

// ask asks the person to connect, in the way that the client knows.
func (c *call) ask(ctx context.Context, refused int64) (*mcp.CallToolResult, error) {
	var g *given
	if c.state != nil && c.state.Refused == refused {
		g = c.state.given()
	}
	f, err := c.auth.flow(ctx, flowKey{c.conn.subject, refused}, g)
	if err != nil {
		return nil, c.auth.noLink(ctx, c.req.Params.Name, err)
	}
	switch wayOf(c.req) {
	case byRounds:
		return c.askInRounds(f)
	case byElicitation:
		return nil, c.askByElicitation(f)
	default:
		return nil, c.auth.inText(f)
	}
}

// askInRounds is for revision 2026-07-28: the client asks, and calls again.
func (c *call) askInRounds(f *flow) (*mcp.CallToolResult, error) {
	sealed, err := c.auth.sealer.seal(&state{
		Subject: c.conn.subject, Provider: c.conn.provider, Label: c.conn.label, Tool: c.req.Params.Name, Arguments: c.arguments[:],
		URL: f.link.URL, LinkMade: f.at, LinkEnd: f.link.ExpireTime, Refused: f.key.refused, End: c.auth.flows.now().Add(stateLife),
	})
	if err != nil {
		return nil, err
	}
	return &mcp.CallToolResult{
		InputRequests: mcp.InputRequestMap{InputKey: &mcp.ElicitParams{Mode: "url", URL: f.link.URL, Message: c.auth.question(f)}},
		RequestState:  sealed,
	}, nil
}

// way is how a client asks people.
type way int

const (
	byText way = iota
	byElicitation
	byRounds
)

func wayOf(req *mcp.CallToolRequest) way {
	can := req.ClientCapabilities()
	if can == nil || can.Elicitation == nil || can.Elicitation.URL == nil {
		return byText
	}
	switch revision := req.ProtocolVersion(); {
	case revision >= revisionRounds:
		return byRounds
	case revision >= revisionElicitation && req.Session != nil:
		return byElicitation
	default:
		return byText
	}
}
