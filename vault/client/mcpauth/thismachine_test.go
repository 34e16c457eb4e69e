package mcpauth_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/client/mcpauth"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// atHome is a vault whose people come back to this machine.
func atHome() vaulttest.Config {
	return vaulttest.Config{Binding: vault.BindingConfirm, ReturnURLs: []string{"http://127.0.0.1/*"}}
}

// decline has somebody open a link, and decline at the provider.
func (r *rig) decline(link string) {
	page, err := sandbox.Person{Client: r.NewBrowser()}.Deny(context.Background(), link)
	if err != nil {
		r.t.Errorf("a person with a link: %v", err)
		return
	}
	_ = page.Body.Close()
}

// TestWhoDeclinesAtTheProviderEndsTheWait, and the next call gets another link.
func TestWhoDeclinesAtTheProviderEndsTheWait(t *testing.T) {
	for _, k := range askingClients() {
		t.Run(k.name, func(t *testing.T) {
			r := newRig(t, atHome(), mcpauth.Config{OnThisMachine: true})
			var links []string
			session := k.dial(t, r.inMemory(), func(_ context.Context, link string) string {
				if links = append(links, link); len(links) == 1 {
					r.persons.Go(func() { r.decline(link) })
				} else {
					r.persons.Go(func() { r.open(link, vaulttest.Ada) })
				}
				return "accept"
			})
			result, err := call(t, session, "hello")
			wantError(t, result, err, "the person has declined")
			result, err = call(t, session, "hello")
			wantPong(t, result, err, "hello", vaulttest.Ada)
			if len(links) != 2 || links[0] == links[1] {
				t.Errorf("the person was given %d links, or the same twice; want two", len(links))
			}
		})
	}
}

// TestALinkThatCameToNothingIsNotShownAgain in a text.
func TestALinkThatCameToNothingIsNotShownAgain(t *testing.T) {
	r := newRig(t, atHome(), mcpauth.Config{OnThisMachine: true})
	session := plainClient().dial(t, r.inMemory(), nil)
	result, err := call(t, session, "hello")
	wantError(t, result, err, "while this server keeps running")
	first := linkIn(t, textOf(result))
	r.decline(first)
	r.settled()
	result, err = call(t, session, "hello")
	second := linkIn(t, textOf(result))
	if err != nil || second == first {
		t.Fatalf("the second call gives %q, %v; want another link", textOf(result), err)
	}
	r.open(second, vaulttest.Ada)
	result, err = call(t, session, "hello")
	wantPong(t, result, err, "hello", vaulttest.Ada)
}

// TestWhoThinksBetterOfItIsConnected: the page says that the link can be opened again, and
// what came before is not told any more.
func TestWhoThinksBetterOfItIsConnected(t *testing.T) {
	r := newRig(t, atHome(), mcpauth.Config{OnThisMachine: true})
	session := olderClient().dial(t, r.inMemory(), answers("cancel"), manual)
	result, err := call(t, session, "hello")
	link := wantElicitation(t, result, err).URL
	r.decline(link)
	r.settled()
	r.open(link, vaulttest.Ada)
	result, err = call(t, session, "hello")
	wantPong(t, result, err, "hello", vaulttest.Ada)
}

// TestTheOperatorIsToldWhereTheVaultLetsNobodyConfirm: no link helps then.
func TestTheOperatorIsToldWhereTheVaultLetsNobodyConfirm(t *testing.T) {
	token := access.GenerateToken()
	c := atHome()
	c.Rules = []access.Rule{{
		Name: "server", Tenant: "default", Tokens: access.HashTokens(token),
		RPCs: []string{"GetCredentials", "Connect", "WatchConnections"}, Providers: []string{"*"}, Subjects: []string{"*"},
	}}
	s := vaulttest.New(t, c)
	s.Token = token
	r := rigOn(t, s, mcpauth.Config{OnThisMachine: true})
	session := newerClient().dial(t, r.inMemory(), func(_ context.Context, link string) string {
		r.persons.Go(func() {
			page, err := sandbox.Person{Client: r.NewBrowser()}.Approve(context.Background(), link, vaulttest.Ada)
			if err != nil {
				t.Error(err)
				return
			}
			_ = page.Body.Close()
		})
		return "accept"
	})
	result, err := call(t, session, "hello")
	wantError(t, result, err, "its operator has to change the configuration")
	if !strings.Contains(r.log.String(), "ConfirmConnection") {
		t.Errorf("the log does not name ConfirmConnection:\n%s", r.log)
	}
}

// TestWhereTheVaultNeedsNobodyHereTheServerMayEnd, and the text says nothing of it.
func TestWhereTheVaultNeedsNobodyHereTheServerMayEnd(t *testing.T) {
	r := newRig(t, vaulttest.Config{}, mcpauth.Config{OnThisMachine: true})
	result, err := call(t, plainClient().dial(t, r.inMemory(), nil), "hello")
	wantError(t, result, err, "The link works until")
	if strings.Contains(textOf(result), "keeps running") {
		t.Errorf("the call says %q, though the link leads to the vault", textOf(result))
	}
}
