package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tokenvault/tokenvault/vault"
)

// devMCPAddress is where an MCP server over HTTP is to listen.
const devMCPAddress = "127.0.0.1:8091"

// explain prints what to open and what to type.
func (d development) explain(w io.Writer) {
	fmt.Fprintf(w, `A vault is running at %[1]s (gRPC) and http://%[2]s (browsers),
and a made-up Mailchimp beside it. Type this in another terminal, in the same folder:

  export TOKENVAULT_ADDR=%[1]s TOKENVAULT_TOKEN=$(cat %[3]s)
  %[4]s alice mailchimp   # prints a link: open it in a browser
  %[5]s alice mailchimp      # what programs get
  %[6]s
  %[8]s alice                     # a link to where alice sees and changes hers
%[9]s%[10]s
Keys, configuration and data are in %[7]s. Stop with Ctrl-C.

`, d.grpc, d.http, shellWord(filepath.Join(d.dir, devCallerToken)),
		hint("connect", "--wait"), hint("credentials"), hint("list"), d.dir, hint("portal"), d.explainLogin(), d.explainMCP())
}

// explainLogin is who people are to be. Empty: nobody signs in.
func (d development) explainLogin() string {
	if d.binding != vault.BindingLogin {
		return ""
	}
	return fmt.Sprintf("\nWho opens a link signs in first: choose alice, for whom these links are. Without a link, people\nsign in at http://%s/portal\n", d.http)
}

// explainMCP is how MCP clients get to use the vault. Empty: the program for that is not
// beside this one.
func (d development) explainMCP() string {
	program := mcpProgram()
	if program == "" {
		return ""
	}
	text := fmt.Sprintf("\nThis prints what to give an MCP client, so that it asks alice's Mailchimp:\n\n  %s config --vault %s --token-file %s --subject alice\n",
		program, d.grpc, shellWord(filepath.Join(d.dir, devCallerToken)))
	if d.binding != vault.BindingLogin {
		return text
	}
	return text + fmt.Sprintf(`
This serves MCP to many people, in the terminal with the export of above:

  %[1]s --http %[2]s --issuer http://%[3]s/oauth --subject-claim preferred_username

MCP clients show it an access token of the person who uses them. To get one for alice, open the
verification_uri_complete that the first of these prints, be alice there, and put its device_code
into the second, whose access_token it is (not the id_token):

  curl -sS -d client_id=%[4]s -d scope=openid http://%[3]s/oauth/device
  curl -sS -d client_id=%[4]s -d grant_type=%[5]s -d resource=http://%[2]s/mcp -d device_code=DEVICE_CODE http://%[3]s/oauth/token
`, program, devMCPAddress, d.sandbox, devMCPClient, deviceGrant)
}

// deviceGrant is the grant type of RFC 8628, section 3.4.
const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// mcpProgram is how to start mailchimp-mcp, for a shell. Empty: it is not beside this
// program.
func mcpProgram() string {
	const name = "mailchimp-mcp"
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(self), name)); err != nil {
		return ""
	}
	dir, _ := filepath.Split(os.Args[0])
	return shellWord(dir + name)
}
