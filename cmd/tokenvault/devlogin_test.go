package main

import (
	"bytes"
	"context"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/sandbox"
)

// newBrowser returns somebody at a browser of their own.
func newBrowser(t *testing.T) sandbox.Person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return sandbox.Person{Client: &http.Client{Jar: jar}}
}

// approved is the page at which a person ends who answers one of the sandbox's.
func approved(t *testing.T, person sandbox.Person, link string, account int) (status int, at, text string) {
	t.Helper()
	page, err := person.Approve(t.Context(), link, account)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(page.Body)
	if err != nil || page.Body.Close() != nil {
		t.Fatal(err)
	}
	return page.StatusCode, page.Request.URL.String(), string(body)
}

func TestPeopleSignInToADevelopmentVaultBeforeTheyConsent(t *testing.T) {
	runDev(t, t.TempDir(), vault.BindingLogin)
	var link struct{ ConnectURL string }
	runJSON(t, &link, "connect", "--json", "alice", "mailchimp")
	ada, grace := sandbox.DefaultAccounts()[0].ID, sandbox.DefaultAccounts()[1].ID
	if status, at, text := approved(t, newBrowser(t), link.ConnectURL, grace); status != http.StatusForbidden {
		t.Errorf("bob's browser ends at %d, %s:\n%s", status, at, text)
	}
	alice := newBrowser(t)
	status, at, text := approved(t, alice, link.ConnectURL, ada)
	if status != http.StatusOK || !strings.Contains(text, "Allow access to Mailchimp?") {
		t.Fatalf("when she has signed in, alice's browser is at %d, %s, not at Mailchimp's page:\n%s", status, at, text)
	}
	if status, at, text := approved(t, alice, at, ada); status != http.StatusOK || !strings.Contains(text, "is connected") {
		t.Fatalf("alice's browser ends at %d, %s:\n%s", status, at, text)
	}
	runJSON(t, nil, "credentials", "--json", "alice", "mailchimp")
	vaultURL, _, _ := strings.Cut(link.ConnectURL, "/oauth/")
	again := newBrowser(t)
	if status, at, text := approved(t, again, signInPage(t, again, vaultURL), ada); status != http.StatusOK || !strings.Contains(text, "Analytical Engines Ltd") {
		t.Errorf("where alice signs in to the portal, she is at %d, %s, without her account:\n%s", status, at, text)
	}
}

// signInPage returns where the portal's button for those without a link leads to.
func signInPage(t *testing.T, person sandbox.Person, vaultURL string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, vaultURL+"/portal/sign-in", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", vaultURL)
	resp, err := person.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	onward := regexp.MustCompile(`href="([^"]*/oauth/authorize[^"]*)"`).FindSubmatch(body)
	if err != nil || resp.Body.Close() != nil || onward == nil {
		t.Fatalf("the button leads to a page with status %d, %v:\n%s", resp.StatusCode, err, body)
	}
	return html.UnescapeString(string(onward[1]))
}

func TestADevelopmentVaultIsBoundAsItsFlagSays(t *testing.T) {
	for binding, want := range map[vault.Binding]string{"": "link", vault.BindingConfirm: "confirm", vault.BindingLogin: "login"} {
		dir := t.TempDir()
		runDev(t, dir, binding)
		text, err := os.ReadFile(filepath.Join(dir, devConfig))
		if err != nil || !strings.Contains(string(text), "\nbinding: "+want+"\n") {
			t.Errorf("binding %q: %v, want %s in\n%s", binding, err, want, text)
		}
	}
	var out bytes.Buffer
	if status := run(t.Context(), []string{"dev", "--dir", filepath.Join(t.TempDir(), "none"), "--binding", "trust"}, io.Discard, &out); status == 0 || !strings.Contains(out.String(), "write confirm, login or link") {
		t.Errorf("--binding trust ends with status %d: %s", status, &out)
	}
}

// TestSignedInPeopleUseAnMCPServerOverHTTP runs what a development vault prints for
// that, to the letter but for the port, of which a test cannot know that it is free.
func TestSignedInPeopleUseAnMCPServerOverHTTP(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatal("the commands that dev prints need curl: run make test, or install it")
	}
	folder := t.TempDir()
	bin := filepath.Join(folder, "bin")
	buildPrograms(t, bin)
	printed := startDev(t, folder, filepath.Join(bin, "tokenvault"), "--binding", "login")
	address, err := unusedAddress()
	if err != nil {
		t.Fatal(err)
	}
	printed = strings.ReplaceAll(printed, devMCPAddress, address)
	command := func(pattern string) string {
		match := regexp.MustCompile(`(?m)^  (` + pattern + `.*)$`).FindStringSubmatch(printed)
		if match == nil {
			t.Fatalf("dev prints no %s, but\n%s", pattern, printed)
		}
		return match[1]
	}
	exports := command("export")
	serveMCP(t, folder, exports+"\nexec "+command(`\S*mailchimp-mcp --http`), address)

	var device, tokens map[string]any
	sh(t, folder, command("curl .*/device"), &device)
	form := url.Values{"user_code": {device["user_code"].(string)}, "decision": {"approve"}, "account": {strconv.Itoa(sandbox.DefaultAccounts()[0].ID)}}
	resp, err := http.PostForm(device["verification_uri"].(string), form)
	if err != nil || resp.Body.Close() != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("alice's page: %v, %v", resp, err)
	}
	sh(t, folder, strings.Replace(command("curl .*/token"), "DEVICE_CODE", device["device_code"].(string), 1), &tokens)

	listAudiences(t, "http://"+address+"/mcp", tokens["access_token"].(string))
}

// sh runs a shell's command, and reads the JSON that it prints.
func sh(t *testing.T, folder, command string, into any) {
	t.Helper()
	run := exec.CommandContext(t.Context(), "sh", "-c", command)
	run.Dir = folder
	out, err := run.Output()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	if err := json.Unmarshal(out, into); err != nil {
		t.Fatalf("%s prints %s: %v", command, out, err)
	}
}

// serveMCP runs a server until the test ends, and waits until it listens.
func serveMCP(t *testing.T, folder, command, address string) {
	t.Helper()
	server := exec.Command("sh", "-c", command)
	server.Dir = folder
	log, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	t.Cleanup(func() {
		_ = server.Process.Signal(os.Interrupt)
		_, _ = io.Copy(&text, log)
		if err := server.Wait(); err != nil {
			t.Errorf("%s: %v\n%s", command, err, &text)
		}
	})
	for buffer := make([]byte, 4096); !strings.Contains(text.String(), "mcp=http://"+address); {
		n, err := log.Read(buffer)
		text.Write(buffer[:n])
		if err != nil {
			t.Fatalf("%s prints %s: %v", command, &text, err)
		}
	}
}

// listAudiences calls a tool as the one whose token it is. Its first call asks for a link
// to be opened: they sign in and allow access.
func listAudiences(t *testing.T, endpoint, token string) {
	t.Helper()
	ada := sandbox.DefaultAccounts()[0].ID
	opened := make(chan string, 1)
	client := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1"}, &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
		ElicitationHandler: func(_ context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			opened <- req.Params.URL
			return &mcp.ElicitResult{Action: "accept"}, nil
		},
	})
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: endpoint, HTTPClient: &http.Client{Transport: bearing(token)}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "list_audiences", Arguments: map[string]any{}})
		if err == nil && result.IsError {
			t.Errorf("list_audiences says %+v", result.Content)
		}
		done <- err
	}()
	select {
	case link := <-opened:
		alice := newBrowser(t)
		_, at, _ := approved(t, alice, link, ada)
		if status, at, text := approved(t, alice, at, ada); status != http.StatusOK {
			t.Errorf("alice's browser ends at %d, %s:\n%s", status, at, text)
		}
	case err := <-done:
		t.Fatalf("list_audiences asks for no link: %v", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := session.Close(); err != nil {
		t.Error(err)
	}
}

// bearing shows a token with every request.
type bearing string

func (b bearing) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(req)
}
