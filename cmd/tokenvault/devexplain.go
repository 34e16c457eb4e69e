package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// explain prints what to open and what to type.
func (d development) explain(w io.Writer) {
	fmt.Fprintf(w, `A vault is running at %[1]s (gRPC) and http://%[2]s (browsers),
and a made-up Mailchimp beside it. Type this in another terminal, in the same folder:

  export TOKENVAULT_ADDR=%[1]s TOKENVAULT_TOKEN=$(cat %[3]s)
  %[4]s alice mailchimp   # prints a link: open it in a browser
  %[5]s alice mailchimp      # what programs get
  %[6]s
  %[8]s alice                     # a link to where alice sees and changes hers
%[9]s
Keys, configuration and data are in %[7]s. Stop with Ctrl-C.

`, d.grpc, d.http, shellWord(filepath.Join(d.dir, devCallerToken)),
		hint("connect", "--wait"), hint("credentials"), hint("list"), d.dir, hint("portal"), d.explainMCP())
}

// explainMCP is how MCP clients get to use the vault. Empty: the program for that is not
// beside this one.
func (d development) explainMCP() string {
	const name = "mailchimp-mcp"
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(self), name)); err != nil {
		return ""
	}
	program := name
	if dir, _ := filepath.Split(os.Args[0]); dir != "" {
		program = dir + name
	}
	return fmt.Sprintf("\nThis prints what to give an MCP client, so that it asks alice's Mailchimp:\n\n  %s config --vault %s --token-file %s --subject alice\n",
		shellWord(program), d.grpc, shellWord(filepath.Join(d.dir, devCallerToken)))
}
