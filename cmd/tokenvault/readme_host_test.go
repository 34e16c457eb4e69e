package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// hostSection is the README's section for host applications.
func hostSection(t *testing.T) string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "\n## For host applications\n")
	section, _, found := strings.Cut(section, "\n## ")
	if !found {
		t.Fatal("the README has no section for host applications")
	}
	return section
}

func wantConnected(t *testing.T, s *vaulttest.Stack) {
	t.Helper()
	if _, err := s.Client.GetCredentials(t.Context(), &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "mailchimp"}); err != nil {
		t.Errorf("alice is not connected: %v", err)
	}
}

func TestTheREADMEsCommandsForHostApplicationsWork(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatal("the README's commands need curl: run make test, or install it")
	}
	s := vaulttest.New(t, vaulttest.Config{Binding: vault.BindingConfirm, ReturnURLs: []string{"http://127.0.0.1:3000/connected"}})
	var blocks []string
	for _, match := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(hostSection(t), -1) {
		blocks = append(blocks, strings.ReplaceAll(match[1], "http://127.0.0.1:8080", s.GatewayURL))
	}
	if len(blocks) != 3 {
		t.Fatalf("the README has %d blocks of commands for host applications, want 3", len(blocks))
	}
	definition, _, _ := strings.Cut(blocks[0], "\n")
	shell := func(block, confirmation string, into any) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", block)
		cmd.Env = append(os.Environ(), "TOKENVAULT_TOKEN="+s.Token.Reveal(), "confirmation="+confirmation)
		out, err := cmd.CombinedOutput()
		if err == nil {
			err = json.Unmarshal(out, into)
		}
		if err != nil {
			t.Fatalf("%s%s: %v", block, out, err)
		}
	}
	var begun struct{ ConnectURL string }
	shell(blocks[0], "", &begun)
	shell(definition+"\n"+blocks[1], comeBackTo(t, s, begun.ConnectURL), new(struct{}))
	wantConnected(t, s)
	var session struct{ PortalURL string }
	shell(definition+"\n"+blocks[2], "", &session)
	if !strings.HasPrefix(session.PortalURL, s.GatewayURL+"/portal/open?link=") {
		t.Errorf("portal_url = %q", session.PortalURL)
	}
}

// comeBackTo has somebody consent, and returns the confirmation that their browser
// brings to the application, where nothing listens.
func comeBackTo(t *testing.T, s *vaulttest.Stack, link string) string {
	t.Helper()
	browser := s.NewBrowser()
	browser.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
		if req.URL.Host == "127.0.0.1:3000" {
			return http.ErrUseLastResponse
		}
		return nil
	}
	page, err := sandbox.Person{Client: browser}.Approve(t.Context(), link, vaulttest.Ada)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, page.Body)
	_ = page.Body.Close()
	back, err := url.Parse(page.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	return back.Query().Get("confirmation")
}
