package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/grpc/status"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// app is the README's host application. Its handlers are the README's, to the letter: a
// test compares them.
type app struct {
	url   string
	vault tokenvaultv1.VaultServiceClient
}

func (a *app) signedIn(*http.Request) string { return "alice" }

// README:
func (a *app) connect(w http.ResponseWriter, r *http.Request) {
	resp, err := a.vault.Connect(r.Context(), &tokenvaultv1.ConnectRequest{
		Subject: a.signedIn(r), Provider: "mailchimp", ReturnUrl: a.url + "/connected",
	})
	if err != nil {
		http.Error(w, status.Convert(err).Message(), http.StatusBadGateway)
		return
	}
	http.Redirect(w, r, resp.GetConnectUrl(), http.StatusSeeOther)
}

func (a *app) connected(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("status") == "confirm" {
		_, err := a.vault.ConfirmConnection(r.Context(), &tokenvaultv1.ConfirmConnectionRequest{
			Subject: a.signedIn(r), Confirmation: r.FormValue("confirmation"),
		})
		if err != nil {
			http.Error(w, status.Convert(err).Message(), http.StatusForbidden)
			return
		}
	}
	fmt.Fprintln(w, "Welcome back!")
}

func (a *app) portal(w http.ResponseWriter, r *http.Request) {
	resp, err := a.vault.CreatePortalSession(r.Context(), &tokenvaultv1.CreatePortalSessionRequest{
		Subject: a.signedIn(r), ReturnUrl: a.url + "/connected",
	})
	if err != nil {
		http.Error(w, status.Convert(err).Message(), http.StatusBadGateway)
		return
	}
	http.Redirect(w, r, resp.GetPortalUrl(), http.StatusSeeOther)
}

// :README

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

// newHost starts a vault that binds flows by confirmation, and the README's
// application.
func newHost(t *testing.T) (*vaulttest.Stack, *app) {
	t.Helper()
	a := &app{}
	mux := http.NewServeMux()
	mux.HandleFunc("/connect", a.connect)
	mux.HandleFunc("/connected", a.connected)
	mux.HandleFunc("/portal", a.portal)
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	s := vaulttest.New(t, vaulttest.Config{Binding: vault.BindingConfirm, ReturnURLs: []string{web.URL + "/*", "http://127.0.0.1:3000/connected"}})
	a.url, a.vault = web.URL, s.Client
	return s, a
}

func wantConnected(t *testing.T, s *vaulttest.Stack) {
	t.Helper()
	if _, err := s.Client.GetCredentials(t.Context(), &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "mailchimp"}); err != nil {
		t.Errorf("alice is not connected: %v", err)
	}
}

func TestTheREADMEsHostApplicationWorks(t *testing.T) {
	source, err := os.ReadFile("readme_host_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, written, _ := strings.Cut(string(source), "\n// README:\n")
	written, _, _ = strings.Cut(written, "\n// :README\n")
	if !strings.Contains(hostSection(t), "```go\n"+strings.TrimSuffix(written, "\n")+"\n```\n") {
		t.Error("the README's application is another one than this test's")
	}
	s, a := newHost(t)
	page, err := sandbox.Person{Client: s.NewBrowser()}.Approve(t.Context(), a.url+"/connect", vaulttest.Ada)
	if err != nil {
		t.Fatal(err)
	}
	if body := s.Body(page); page.StatusCode != http.StatusOK || body != "Welcome back!\n" {
		t.Errorf("the browser ended at %d: %s", page.StatusCode, body)
	}
	wantConnected(t, s)

	page, err = s.NewBrowser().Get(a.url + "/portal")
	if err != nil {
		t.Fatal(err)
	}
	if body := s.Body(page); page.StatusCode != http.StatusOK || !strings.Contains(body, "alice") || !strings.Contains(body, `action="/portal/open"`) {
		t.Errorf("the portal's link led to %d:\n%s", page.StatusCode, body)
	}
}

func TestTheREADMEsCommandsForHostApplicationsWork(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatal("the README's commands need curl: run make test, or install it")
	}
	s, _ := newHost(t)
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
