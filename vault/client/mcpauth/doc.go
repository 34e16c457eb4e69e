// Package mcpauth gives the tools of an MCP server the credentials of the person that
// they are called for, or that person a link. Where a connection is missing, the tool is
// not run: the person is asked to open the link, the call waits, and goes on by itself
// once the account is connected.
//
//	auth, err := mcpauth.New(mcpauth.Config{Vault: vault, Provider: "mailchimp", Subject: mcpauth.FromToken})
//	mcp.AddTool(server, &mcp.Tool{Name: "lists"}, mcpauth.Tool(auth, lists))
//
// How the person is asked is up to the MCP client: as an input request where it speaks
// revision 2026-07-28 and can open links, with the error -32042 (URL elicitation
// required) where it speaks 2025-11-25 and can, and otherwise with a text that has the
// link in it.
//
// # What leaves and what does not
//
// Tokens of the provider stay in this process: neither the MCP client nor the model gets
// to see one. Nor do they see what the vault says of its inside: that goes to
// [Config].Log. A link is shown only in answers to calls for the subject that it was made
// for.
//
// # Tools that ask for more input
//
// A tool may ask for input of its own, with keys other than [InputKey]. Its request state
// and the answers pass through untouched, and the tool sees nothing of this package's.
// Where the connection goes missing between two rounds of such a conversation, the person
// connects first, and then the tool is called as if for the first time.
//
// # What servers have to see to
//
// Version 1.8.0 of the SDK recovers no panic, and has one of its own: where a tool's
// schema has defaults and a client sends null for the arguments. A receiving middleware
// that takes null for none, and one that recovers, keep a server going. Over HTTP, one
// message may hold many calls in revisions before 2025-06-18, and sessions of signed-in
// people have no bound: cmd/mailchimp-mcp shows what to do about either.
package mcpauth
