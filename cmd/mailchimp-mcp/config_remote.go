package main

import (
	"errors"
	"fmt"
	"net"

	"github.com/spf13/cobra"
)

// tokenPlace is where people write the token of --bearer-token, which is not printed.
const tokenPlace = "YOUR-TOKEN"

// remoteEntry is how MCP clients reach a server over HTTP. Those to which the server says
// where people sign in need no header.
type remoteEntry struct {
	Type    string            `json:"type,omitempty"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers,omitempty"`
}

// printRemote prints how clients reach the server that these flags start.
func (c *configOptions) printRemote(cmd *cobra.Command) error {
	if c.client == clientClaudeDesktop {
		return errors.New("--http: the file of Claude Desktop is for servers that it starts itself: leave out --http, or add the server in its settings as a connector")
	}
	e, err := c.http.remoteEntry(&c.vault)
	if err != nil {
		return err
	}
	if c.client == clientCursor {
		e.Type = "" // the URL says it
	}
	if err := writeEntry(cmd.OutOrStdout(), c.client, e); err != nil {
		return err
	}
	if c.http.bearer != "" {
		sayWhereToWrite(cmd.ErrOrStderr(), c.client, "the token of --bearer-token", tokenPlace)
	}
	return nil
}

func (f *httpFlags) remoteEntry(v *vaultFlags) (*remoteEntry, error) {
	if err := f.check(v); err != nil {
		return nil, err
	}
	origin := f.origin(f.addr)
	if origin == "" {
		return nil, fmt.Errorf("--http %s does not say where clients reach the server: add --public-url, such as https://mcp.example.com", f.addr)
	}
	if _, port, err := net.SplitHostPort(f.addr); f.publicURL == "" && (err != nil || port == "0") {
		return nil, fmt.Errorf("--http %s has another port with each start: choose one, or add --public-url", f.addr)
	}
	e := &remoteEntry{Type: "http", URL: origin + mcpPath}
	if f.bearer != "" {
		e.Headers = map[string]string{"Authorization": "Bearer " + tokenPlace}
	}
	return e, nil
}
