package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// The MCP clients that config knows the form of. The empty name is most clients.
const (
	clientClaudeDesktop = "claude-desktop"
	clientCursor        = "cursor"
	clientClaudeCode    = "claude-code"
	clientVSCode        = "vscode"
)

// checkClient refuses clients whose form is not known.
func checkClient(name string) error {
	switch name {
	case "", clientClaudeDesktop, clientCursor, clientClaudeCode, clientVSCode:
		return nil
	}
	return fmt.Errorf("--client %q: write claude-desktop, cursor, claude-code or vscode, or leave it out for the form that most others read", name)
}

// writeEntry writes what a client reads or, for Claude Code, the command that gives it to
// it.
//
// Sources: modelcontextprotocol.io/docs/develop/connect-local-servers (Claude Desktop),
// cursor.com/docs/mcp, code.claude.com/docs/en/mcp, and VS Code's
// docs/copilot/reference/mcp-configuration.
func writeEntry(w io.Writer, client string, e any) error {
	if client == clientClaudeCode {
		text, err := marshal(e, "")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "claude mcp add-json mailchimp %s\n", shellQuote(strings.TrimSpace(text)))
		return err
	}
	servers := "mcpServers"
	if client == clientVSCode {
		servers = "servers"
	}
	text, err := marshal(map[string]any{servers: map[string]any{"mailchimp": e}}, "  ")
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, text)
	return err
}

// sayWhereToWrite tells people where a secret goes that is not printed. A command with the
// secret in it would be in the shell's history, and in the list of processes.
func sayWhereToWrite(w io.Writer, client, what, place string) {
	if client == clientClaudeCode {
		fmt.Fprintf(w, "Run the command as it is: a secret in it would stay in the shell's history, and other users of this machine could see it. Then write %s in place of %s in ~/.claude.json, where the command puts that: it is not printed.\n", what, place)
		return
	}
	fmt.Fprintf(w, "Write %s in place of %s: it is not printed.\n", what, place)
}

// marshal returns JSON as people write it: with < and & as they are.
func marshal(v any, indent string) (string, error) {
	var text strings.Builder
	out := json.NewEncoder(&text)
	out.SetEscapeHTML(false)
	out.SetIndent("", indent)
	err := out.Encode(v)
	return text.String(), err
}

// shellQuote makes one word of a text, in which a shell reads nothing.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
