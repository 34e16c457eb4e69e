package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/client/mcpauth"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// TestALinkThatWasPassedOnConnectsNobodyElsesAccount: mallory has the server make a link,
// and alice open it, who would consent. With binding: login she is not asked to.
func TestALinkThatWasPassedOnConnectsNobodyElsesAccount(t *testing.T) {
	issuer := vaulttest.NewIssuer(t, nil)
	s := &site{t: t, issuer: issuer, stack: vaulttest.New(t, vaulttest.Config{Binding: vault.BindingLogin, Issuer: issuer})}
	s.process, s.endpoint = startHTTP(t, vaultEnv(s.stack), "--issuer", issuer.URL)
	mallory := byHand(t, withToken(s.endpoint, s.token("mallory")))
	link, state := s.ask(mallory, "")

	issuer.SignInAs("alice", nil)
	page, err := s.stack.NewBrowser().Get(link)
	if err != nil {
		t.Fatal(err)
	}
	if text := body(t, page); page.StatusCode != http.StatusForbidden || !strings.Contains(text, "This link is for somebody else") || strings.Contains(text, "mallory") {
		t.Errorf("alice's browser ends at %d:\n%s", page.StatusCode, text)
	}
	if again, _ := s.ask(mallory, ""); again != link {
		t.Errorf("mallory is given the link %s, want the same, %s", again, link)
	}

	issuer.SignInAs("mallory", nil)
	own, err := sandbox.Person{Client: s.stack.NewBrowser()}.Approve(t.Context(), link, vaulttest.Grace)
	if err != nil {
		t.Fatal(err)
	}
	_ = own.Body.Close()
	if asked, _ := s.ask(mallory, state); asked != "" {
		t.Errorf("mallory is asked to open %s, want her own account", asked)
	}
	wantAccount(t, mallory, vaulttest.Grace)
}

// ask makes a round of a call by hand, and returns what it asks. Empty: nothing.
func (s *site) ask(session *mcp.ClientSession, state string) (link, next string) {
	s.t.Helper()
	params := &mcp.CallToolParams{Name: "get_account", RequestState: state}
	if state != "" {
		params.InputResponses = mcp.InputResponseMap{mcpauth.InputKey: &mcp.ElicitResult{Action: "accept"}}
	}
	result, err := session.CallTool(s.t.Context(), params)
	if err != nil {
		s.t.Fatal(err)
	}
	if question, ok := result.InputRequests[mcpauth.InputKey].(*mcp.ElicitParams); ok {
		link = question.URL
	}
	return link, result.RequestState
}
